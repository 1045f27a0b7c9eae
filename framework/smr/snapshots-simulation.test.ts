import { type Ports, sleep, VarlogError } from '../base/index.ts';
import { type RunReport, runSeeds, World } from '../testing/index.ts';
import { DiskSnapshotStore } from './disk-snapshot-store.ts';
import { type Replica, startReplica } from './index.ts';
import { TrimmedLog } from './trimmed-log.fixture.ts';
import { LiveWordCounts, WordCounts } from './word-counts.fixture.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 4);
const NODES = ['a', 'b', 'c'];
const ROUNDS = 6;

type WordReplica = Replica<string, number, WordCounts>;

/**
 * Replicas with a folder each on a log that is trimmed behind their snapshots: they are killed and lose power at any moment,
 * also while they write one. In the end each has the state of one that replayed all of the log, and none has failed.
 */
async function scenario(seed: number, newMachine: () => WordCounts): Promise<RunReport> {
  const world = new World(seed);
  const random = world.random.stream('scenario');
  const log = new TrimmedLog();
  const replicas = new Map<string, WordReplica>();
  let kept = 0;
  const start = async (name: string, ports: Ports): Promise<WordReplica> => {
    const snapshotEvery = [{ entries: 30 }, { bytes: 2_000 }, { ms: 200 }][random.below(3)]!;
    const replica = await startReplica({
      ...{ machine: newMachine(), log, ports, snapshotEvery, trimLog: true },
      snapshots: new DiskSnapshotStore(ports.disk),
    });
    replicas.set(name, replica);
    replica.status$.subscribe(({ state, error, snapshotError, snapshotPosition }) => {
      if (state === 'failed') world.fail(error);
      if (VarlogError.is(snapshotError, 'CORRUPT')) world.fail(snapshotError);
      kept = Math.max(kept, snapshotPosition);
    });
    return replica;
  };
  for (const name of NODES) world.node(name, (ports) => start(name, ports));
  const { clock } = world.ports('clients');
  const write = async (): Promise<void> => {
    for (let i = 0; i < 120; i++) {
      const word = `${random.below(8) === 0 ? '-' : ''}${random.below(600)}`;
      const replica = replicas.get(NODES[random.below(NODES.length)]!);
      // A replica that is gone answers nobody.
      void replica?.execute(word, { timeoutMs: 2_000 }).catch(() => {});
      if (random.below(3) === 0) await sleep(clock, random.below(20));
    }
  };
  await world.started();
  await world.play(async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const writing = write();
      const node = NODES[random.below(NODES.length)]!;
      await sleep(clock, random.below(400));
      if (random.below(2) === 0)
        void replicas
          .get(node)!
          .snapshot()
          .catch(() => {});
      if (random.below(2) === 0) await sleep(clock, random.below(3));
      world.crash(node, { powerLoss: random.below(2) === 0 });
      await writing;
      world.restart(node);
    }
  });
  await world.started();
  const states = await world.play(async () => {
    await Promise.all([...replicas.values()].map((it) => it.caughtUp()));
    return [...replicas.values()].map((it) => it.machine.state);
  });
  const replayed = await world.play(async () => {
    const ports = world.ports('replay');
    const replica = await startReplica({ machine: new WordCounts(), log: log.whole, ports });
    await replica.caughtUp();
    return replica.machine.state;
  });
  for (const state of states) expect(state).toEqual(replayed);
  expect(kept).toBeGreaterThan(0);
  expect(log.trimmed).toBeGreaterThan(0);
  world.close();
  return { traceHash: world.trace.hash(), simulatedMs: world.nowMs };
}

test('replicas that restore in pieces are those that replayed all, through crashes at any moment', async () => {
  const failures = await runSeeds({
    scenario: (seed) => scenario(seed, () => new WordCounts()),
    ...{ seeds: SEEDS, checkShare: 0.1, print: () => {} },
  });
  expect(failures).toEqual([]);
}, 60_000);

test('a state that is not that of one moment is found', async () => {
  for (let firstSeed = 1; firstSeed <= 10; firstSeed++) {
    const failures = await runSeeds({
      scenario: (seed) => scenario(seed, () => new LiveWordCounts()),
      ...{ seeds: 1, firstSeed, checkShare: 0, print: () => {} },
    });
    if (failures.length > 0) return;
  }
  throw new Error('no seed finds it');
}, 60_000);
