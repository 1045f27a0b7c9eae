import fc from 'fast-check';
import { MemoryLog } from '../testing/memory-log.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SeededRandom } from '../testing/simulator/random.ts';
import { DiskSnapshotStore } from './disk-snapshot-store.ts';
import { type ForkOptions, startFork, startReplica } from './index.ts';
import { Sums } from './sums.fixture.ts';
import { WordCounts } from './word-counts.fixture.ts';

const words = fc.array(fc.constantFrom('a', 'b', 'c', '-a', '-b'), { minLength: 1, maxLength: 20 });

/** The state that the commands make. */
function stateOf(commands: readonly string[]): unknown {
  const machine = new WordCounts();
  for (const it of commands) machine.apply(it);
  return machine.state;
}

describe('a fork', () => {
  test('has what the log has up to a position, and goes on by itself; the log and the stored snapshot stay as they are', async () => {
    await fc.assert(
      fc.asyncProperty(
        words,
        words,
        words,
        fc.nat(),
        fc.option(fc.nat()),
        async (before, own, later, cut, stored) => {
          const log = new MemoryLog();
          Object.assign(log, { compact: undefined });
          const snapshots = new DiskSnapshotStore(
            new SimulatedDisk({ random: new SeededRandom('fork') }),
          );
          const replica = await startReplica({ machine: new WordCounts(), log, snapshots });
          const ends: number[] = [];
          let keptAt = 0;
          for (const [i, word] of before.entries()) {
            await replica.execute(word);
            ends.push(replica.position);
            if (stored !== null && i === stored % before.length) keptAt = await replica.snapshot();
          }
          const count = cut % (before.length + 1);
          const at = count === 0 ? 0 : ends[count - 1]!;
          const start = () =>
            startFork({
              machine: new WordCounts(),
              log,
              at,
              ...(keptAt > 0 && { from: snapshots }),
            });
          if (keptAt > at) {
            await expect(start()).rejects.toMatchObject({ code: 'NOT_FOUND' });
            return;
          }
          await using fork = await start();
          expect(fork.machine.state).toEqual(stateOf(before.slice(0, count)));
          const results = await Promise.all(own.map((it) => fork.execute(it)));
          const model = new WordCounts();
          for (const it of before.slice(0, count)) model.apply(it);
          expect(results).toEqual(own.map((it) => model.apply(it)));
          for (const it of later) await replica.execute(it);
          expect(await fork.query((it) => it.state)).toEqual(model.state);
          expect(replica.machine.state).toEqual(stateOf([...before, ...later]));
          await replica.close();
          // Whoever starts from the store and the log finds nothing of the fork.
          await using again = await startReplica({ machine: new WordCounts(), log, snapshots });
          await again.caughtUp();
          expect(again.machine.state).toEqual(stateOf([...before, ...later]));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('begins with the snapshot that the log keeps in place of its head, and not before it', async () => {
    const log = new MemoryLog();
    await using replica = await startReplica({ machine: new Sums(), log });
    await replica.execute({ key: 'a', value: 1 });
    const at = await replica.snapshot();
    await replica.execute({ key: 'a', value: 2 });
    await using fork = await startFork({ machine: new Sums(), log, at });
    expect(await fork.execute({ key: 'a', value: 5 })).toBe(6);
    const early = startFork({ machine: new Sums(), log, at: at - 1 });
    await expect(early).rejects.toMatchObject({
      code: 'TRIMMED',
      details: { firstAvailable: at + 1 },
    });
  });

  test('gives its start up where that is wanted, and lets go of its machine', async () => {
    const log = new MemoryLog();
    await using replica = await startReplica({ machine: new Sums(), log });
    await replica.execute({ key: 'a', value: 1 });
    const machine = new Sums();
    const reason = new Error('not wanted any more');
    // A log that tells where it ends, and then nothing of what is in it.
    const { follow } = log;
    let isFollowed = false;
    log.follow = async function* (from, options) {
      isFollowed = true;
      await new Promise<void>((resolve) =>
        options?.signal?.addEventListener('abort', () => resolve()),
      );
      yield* follow.call(log, from, options);
    };
    const wanted = new AbortController();
    const starting = startFork({ machine, log, signal: wanted.signal });
    const outcome = starting.then(
      () => 'started',
      (error: unknown) => error,
    );
    for (let i = 0; i < 2_000 && !isFollowed; i++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    wanted.abort(reason);
    expect(await outcome).toBe(reason);
    log.follow = follow;
    const late = startFork({ machine: new Sums(), log, signal: AbortSignal.abort(reason) });
    await expect(late).rejects.toBe(reason);
    // A fork that was started goes on.
    const again = new AbortController();
    await using fork = await startFork({ machine, log, signal: again.signal });
    again.abort(reason);
    expect(await fork.execute({ key: 'a', value: 5 })).toBe(6);
  });

  test('keeps nothing for others, and no more of its own than it has room for', async () => {
    const log = new MemoryLog();
    const machine = new Sums();
    await using fork = await startFork({ machine, log, forkBytesMax: 1_000 });
    const put = { key: 'k'.repeat(500), value: 1 };
    await fork.execute(put);
    await expect(fork.execute(put)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      outcome: 'notAppended',
    });
    expect(await fork.execute({ key: 'a', value: 1 })).toBe(1);
    await expect(fork.snapshot()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const store = new DiskSnapshotStore(new SimulatedDisk({ random: new SeededRandom('fork') }));
    const given = { machine, log, snapshots: store } as ForkOptions<
      unknown,
      unknown,
      unknown,
      Sums
    > & { log: MemoryLog };
    await expect(startFork(given as never)).rejects.toThrow(/a fork takes no `snapshots`.*`from`/);
    await using from = await startFork({ machine: new Sums(), log, from: store });
    await from.execute(put);
    await expect(from.snapshot()).rejects.toThrow(/a fork keeps no snapshots/);
    await expect(startFork({ machine, log, at: -1 })).rejects.toThrow(/INVALID.*at is -1/);
    await expect(startFork({ machine, log, at: 9 })).rejects.toMatchObject({ code: 'BEYOND_TAIL' });
    expect(await log.tail()).toBe(0);
  });
});
