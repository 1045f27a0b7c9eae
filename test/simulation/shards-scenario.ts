import { type Ports, sleep, VarlogError } from '../../framework/base/index.ts';
import { RaftGroup } from '../../framework/raft/index.ts';
import { type Shards, type StateMachine, shardOf, startShards } from '../../framework/smr/index.ts';
import { type Process, type RunReport, World } from '../../framework/testing/index.ts';
import { must } from './memory.ts';

const NODES = ['n1', 'n2', 'n3'];
const PORT = 7001;
const SHARDS = 3;
const KEYS = 12;
const STEPS = 12;
const CALL_MS = 3_000;
const members = NODES.map((name, i) => ({ id: i + 1, address: `${name}:${PORT}` }));

interface Put {
  readonly key: string;
  readonly id: number;
}

/** The ids that were put under each key, in their order. */
class Lists implements StateMachine<Put, number, [string, number[]][]> {
  lists = new Map<string, number[]>();
  apply({ key, id }: Put): number {
    const list = this.lists.get(key) ?? [];
    this.lists.set(key, list);
    return list.push(id);
  }
  snapshot(): [string, number[]][] {
    return [...this.lists];
  }
  restore(lists: [string, number[]][]): void {
    this.lists = new Map(lists);
  }
}

interface Member extends Process {
  /** `undefined` where it was given the logs in an order that is not theirs, and refused them. */
  readonly shards: Shards<Put, number, Lists> | undefined;
}

/**
 * A machine over three Raft groups on three nodes, which crash and are started again, now and then with the logs in
 * another order: those are refused, and nothing goes where it does not belong. What was acknowledged is there, once, at
 * the place that was told, in the shard of its key.
 */
export async function shardsScenario(seed: number): Promise<RunReport> {
  const world = new World(seed);
  try {
    await new ShardsRun(world).play();
    return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
  } finally {
    world.close();
  }
}

class ShardsRun {
  private readonly world: World;
  /** By how many places the logs of a node are shifted at its next start. */
  private readonly shifts = new Map(NODES.map((name) => [name, 0]));
  private readonly acknowledged: (Put & { readonly place: number })[] = [];
  private lastId = 0;
  private readonly snapshotEvery: number;

  constructor(world: World) {
    this.world = world;
    this.snapshotEvery = world.random.stream('climate').pick([3, 1_000]);
  }

  async play(): Promise<void> {
    const { world } = this;
    for (const name of NODES) world.node(name, (ports) => this.start(ports, name));
    await world.started();
    await this.putAll();
    const random = world.random.stream('steps');
    for (let i = 0; i < STEPS; i++) {
      const name = random.pick(NODES);
      const kind = random.below(4);
      if (kind === 0) {
        world.crash(name, { powerLoss: random.below(2) === 0 });
        world.after(random.below(500), () => world.restart(name));
      } else if (kind === 1) await this.shiftedStart(name, 1 + random.below(SHARDS - 1));
      await this.putAll();
      await world.run(random.below(800));
    }
    for (const name of NODES) world.restart(name);
    await world.started();
    await world.play(() => this.check(), 60_000);
  }

  private async start(ports: Ports, name: string): Promise<Member> {
    const server = await ports.network.serve(`${name}:${PORT}`, []);
    const memberId = NODES.indexOf(name) + 1;
    const groups: RaftGroup[] = [];
    for (let i = 0; i < SHARDS; i++) {
      const directory = `raft-${i}`;
      const group = { groupId: `shard-${i}`, memberId, members, ports, directory };
      const opened = await RaftGroup.open({ ...group, retain: { entries: 0 } });
      server.add(opened.handlers);
      groups.push(opened);
    }
    const shift = this.shifts.get(name)!;
    let shards: Member['shards'];
    try {
      shards = await startShards({
        logs: groups.map((_, i) => groups[(i + shift) % SHARDS]!),
        machine: () => new Lists(),
        keyOf: ({ key }: Put) => key,
        snapshotEvery: this.snapshotEvery,
        ports,
      });
      must(shift === 0, `${name} took the logs shifted by ${shift}`);
    } catch (error) {
      const isRefusal = (['FAILED_PRECONDITION', 'LOG_MISMATCH'] as const).some((it) =>
        VarlogError.is(error, it),
      );
      if (!VarlogError.is(error) || (shift === 0 && isRefusal)) throw error;
    }
    const close = async (): Promise<void> => {
      await shards?.close();
      for (const it of groups) await it.close();
      await server.close();
    };
    return { shards, close };
  }

  /** A node that is started with the logs in another order is of no use, until it is started with the right one. */
  private async shiftedStart(name: string, shift: number): Promise<void> {
    // Whoever supervises it starts it again: it is refused each time.
    for (const it of [shift, shift, 0]) {
      this.world.crash(name);
      this.shifts.set(name, it);
      this.world.restart(name);
      await this.world.run(2_000);
    }
  }

  private async putAll(): Promise<void> {
    const { clock, random } = this.world.ports('client');
    const puts = Array.from({ length: KEYS }, (_, i) =>
      this.put(`key ${i}`, NODES[random.below(NODES.length)]!),
    );
    await this.world.play(() => Promise.race([Promise.all(puts), sleep(clock, CALL_MS)]), 10_000);
  }

  private async put(key: string, name: string): Promise<void> {
    const command = { key, id: ++this.lastId };
    try {
      const place = await this.find(name)?.execute(command, { timeoutMs: CALL_MS });
      if (place !== undefined) this.acknowledged.push({ ...command, place });
    } catch (error) {
      if (!VarlogError.is(error) || error.code === 'INVARIANT') throw error;
      must(error.code !== 'FAILED_PRECONDITION', error.message);
    }
  }

  private async check(): Promise<void> {
    must(this.acknowledged.length > 0, 'nothing was acknowledged');
    const states = await Promise.all(
      NODES.map((name) =>
        this.find(name)!.queryEach((it) => JSON.stringify(it.snapshot()), { timeoutMs: 30_000 }),
      ),
    );
    must(new Set(states.map(String)).size === 1, 'the replicas of a shard differ');
    const each = states[0]!.map((it) => new Map(JSON.parse(it) as [string, number[]][]));
    for (const [shard, lists] of each.entries()) {
      for (const [key, ids] of lists) {
        must(shardOf(key, SHARDS) === shard, `${key} is in shard ${shard}`);
        must(new Set(ids).size === ids.length, `what was put under ${key} is there twice: ${ids}`);
      }
    }
    for (const { key, id, place } of this.acknowledged) {
      const at = each[shardOf(key, SHARDS)]!.get(key)?.[place - 1];
      must(at === id, `${id} was put under ${key} at ${place}, where ${at} is`);
    }
  }

  private find(name: string): Member['shards'] {
    return (this.world.process(name) as Member | undefined)?.shards;
  }
}
