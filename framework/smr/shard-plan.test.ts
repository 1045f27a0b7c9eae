import { sleep, VarlogError } from '../base/index.ts';
import { MemoryLog, type RunReport, runSeeds, World } from '../testing/index.ts';
import { type Shards, type StateMachine, shardOf, startShards } from './index.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 60);
const KEYS = Array.from({ length: 12 }, (_, i) => `key ${i}`);

/** Counts what was done under each key. */
class Counts implements StateMachine<string, number, [string, number][]> {
  counts = new Map<string, number>();
  apply(key: string): number {
    const count = (this.counts.get(key) ?? 0) + 1;
    this.counts.set(key, count);
    return count;
  }
  snapshot(): [string, number][] {
    return [...this.counts];
  }
  restore(counts: [string, number][]): void {
    this.counts = new Map(counts);
  }
}

type CountShards = Shards<string, number, Counts>;

/**
 * Processes begin on the same empty logs at about the same time, by two orders of them or more, over links that are slow and
 * lose appends or their answers. Those of one order all run and none of them fails; all others are refused.
 */
async function scenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  const random = world.random.stream('scenario');
  const count = 2 + random.below(3);
  const logs = Array.from(
    { length: count + 1 },
    (_, i) => new MemoryLog({ identity: `${random.below(1_000)} of ${i}` }),
  );
  const right = Array.from({ length: count }, (_, i) => i);
  const orders = [right, ...others(right, random)];
  const running: { order: number; shards: CountShards }[] = [];
  const refused: { order: number; error: unknown }[] = [];
  const run = async (process: number): Promise<void> => {
    const order = process % orders.length;
    const ports = world.ports(`process ${process}`);
    await sleep(ports.clock, random.below(60));
    const links = orders[order]!.map((it) => {
      const delays = world.random.stream(`link ${process} ${it}`);
      const link = logs[it]!.link({ clock: ports.clock, random: delays });
      link.latencyMs = 1 + random.below(20);
      const fault = (['refused', 'unknownLost', 'unknownApplied', 'unknownLate'] as const)[
        random.below(8)
      ];
      if (fault !== undefined) link.failNext(fault);
      return link;
    });
    const options = { logs: links, machine: () => new Counts(), keyOf: (key: string) => key };
    try {
      const shards = await startShards({ ...options, ports });
      running.push({ order, shards });
      shards.status$.subscribe((all) => {
        for (const { state, error } of all) if (state === 'failed') world.fail(error);
      });
      for (const key of KEYS) await shards.execute(key);
    } catch (error) {
      refused.push({ order, error });
    }
  };
  const processes = orders.length * (1 + random.below(2));
  await world.play(() => Promise.all(Array.from({ length: processes }, (_, i) => run(i))));

  const winners = new Set(running.map((it) => it.order));
  expect(winners.size).toBe(1);
  const [winner] = [...winners];
  expect(running).toHaveLength(processes / orders.length);
  for (const { order, error } of refused) {
    expect(order).not.toBe(winner);
    if (!VarlogError.is(error, 'FAILED_PRECONDITION')) throw error;
    const inForce = orders[winner!]!.map((it) => logs[it]!);
    const identities = await Promise.all(inForce.map((it) => it.identity()));
    expect(error.details).toMatchObject({ inForce: { logs: identities } });
  }
  await world.play(async () => {
    for (const { shards } of running) {
      for (const key of KEYS)
        expect(await shards.query(key, (it) => it.counts.get(key))).toBe(running.length);
      const held = await shards.queryEach((it) => [...it.counts.keys()]);
      for (const [shard, keys] of held.entries())
        for (const key of keys) expect(shardOf(key, shards.count)).toBe(shard);
    }
    await Promise.all(running.map((it) => it.shards.close()));
  });
  world.close();
  return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
}

/** Wrong orders: of the same logs in another order, one or more; or one with a log more, or one fewer. */
function others(right: readonly number[], random: { below(n: number): number }): number[][] {
  const turned = (by: number): number[] => [...right.slice(by), ...right.slice(0, by)];
  const kind = random.below(4);
  if (kind === 0) return [[...right, right.length]];
  if (kind === 1) return [right.slice(1)];
  if (kind === 2) return [turned(1)];
  return right.slice(1).map((by) => turned(by));
}

test('of several orders of empty logs one is in force, and nothing that has it fails', async () => {
  const failures = await runSeeds({ scenario, seeds: SEEDS, checkShare: 0.05, print: () => {} });
  expect(failures).toEqual([]);
}, 120_000);
