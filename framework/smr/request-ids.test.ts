import fc from 'fast-check';
import { MemoryLog } from '../testing/memory-log.ts';
import { type Replica, type StateMachine, startReplica } from './index.ts';

/** Counts how often each command took effect. */
class Tally implements StateMachine<string, number, [string, number][]> {
  counts = new Map<string, number>();
  apply(command: string): number {
    const count = (this.counts.get(command) ?? 0) + 1;
    this.counts.set(command, count);
    return count;
  }
  snapshot(): [string, number][] {
    return [...this.counts];
  }
  restore(counts: [string, number][]): void {
    this.counts = new Map(counts);
  }
}

const countsOf = (it: Tally): [string, number][] => [...it.counts];

describe('request ids', () => {
  const faults = fc.constantFrom('refused', 'unknownApplied', 'unknownLate', 'unknownLost');
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ request: fc.nat(5), at: fc.nat(1) }) },
    { weight: 2, arbitrary: fc.record({ restart: fc.nat(1) }) },
    { weight: 3, arbitrary: fc.record({ fault: faults }) },
    { weight: 1, arbitrary: fc.constant({ stray: true }) },
  );

  test('a request takes effect once, whatever its appends suffer, wherever it is repeated', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        async (steps, snapshotEvery, sessionsMax) => {
          const log = new MemoryLog();
          const sessions = { sessionsMax, idleMs: 3_600_000 };
          const start = (): Promise<Replica<string, number, Tally>> =>
            startReplica({ machine: new Tally(), log, snapshotEvery, sessions });
          const replicas = [await start(), await start()];
          const asked = new Set<string>();
          for (const it of steps) {
            if ('request' in it) {
              const name = `r${it.request}`;
              asked.add(name);
              const result = await replicas[it.at]!.execute(name, { requestId: name });
              expect(result).toBe(1);
            } else if ('restart' in it) {
              await replicas[it.restart]!.close();
              replicas[it.restart] = await start();
            } else if ('fault' in it) log.failNext(it.fault);
            else await log.append([new TextEncoder().encode('a stray record')]).catch(() => {});
          }
          const seen = await Promise.all(replicas.map((it) => it.query(countsOf)));
          expect(seen[1]).toEqual(seen[0]);
          expect(seen[0]!.sort()).toEqual([...asked].sort().map((name) => [name, 1]));
          for (const it of replicas) await it.close();
        },
      ),
      { numRuns: 40 },
    );
  }, 120_000);

  test('an id that comes with another command is refused, also when it is retried', async () => {
    const log = new MemoryLog();
    await using tally = await startReplica({ machine: new Tally(), log });
    expect(await tally.execute('a', { requestId: 'x' })).toBe(1);
    log.failNext('unknownApplied', 'unknownApplied');
    await expect(tally.execute('b', { requestId: 'x' })).rejects.toMatchObject({
      code: 'REQUEST_MISMATCH',
      outcome: 'notAppended',
    });
    expect(await tally.query(countsOf)).toEqual([['a', 1]]);
  });

  test('ids that cannot be carried are refused before anything is sent', async () => {
    await using tally = await startReplica({ machine: new Tally(), log: new MemoryLog() });
    for (const requestId of ['', 'é'.repeat(129)]) {
      const refused = { code: 'INVALID_ARGUMENT', outcome: 'notAppended' };
      await expect(tally.execute('a', { requestId })).rejects.toMatchObject(refused);
    }
    expect(await tally.execute('a', { requestId: 'é'.repeat(128) })).toBe(1);
  });

  test('results of any kind are given to callers as values of their own', async () => {
    const shared = { list: [1] };
    const machine: StateMachine<number, unknown, null> & { kept: unknown[] } = {
      kept: [],
      apply(command) {
        if (command === 1) return 1n;
        return shared;
      },
      snapshot: () => null,
      restore: () => {},
    };
    const log = new MemoryLog();
    await using replica = await startReplica({ machine, log, snapshotEvery: 1 });
    await expect(replica.execute(1)).rejects.toMatchObject({ code: 'INTERNAL' });
    const result = (await replica.execute(2)) as typeof shared;
    result.list.push(2);
    expect(shared).toEqual({ list: [1] });
    await using late = await startReplica({ machine: { ...machine }, log, snapshotEvery: 1 });
    expect(await late.execute(2)).toEqual({ list: [1] });
  });
});
