import fc from 'fast-check';
import { filter, firstValueFrom } from 'rxjs';
import { SeededRandom } from '../testing/index.ts';
import { MemoryLog } from '../testing/memory-log.ts';
import {
  type Replica,
  type ReplicaStatus,
  type StateMachine,
  skipCommand,
  startReplica,
} from './index.ts';

/** A list of numbers; an instance that is faulty keeps another one than it is given, once. */
class Numbers implements StateMachine<number, number, number[]> {
  numbers: number[] = [];
  private readonly faultyAt: number;
  constructor(faultyAt = 0) {
    this.faultyAt = faultyAt;
  }
  apply(it: number): number {
    const count = this.numbers.push(it);
    if (count === this.faultyAt) this.numbers[count - 1] = it + 1;
    return count;
  }
  snapshot(): number[] {
    return this.numbers;
  }
  restore(numbers: number[]): void {
    this.numbers = [...numbers];
  }
}

type NumbersReplica = Replica<number, number, Numbers>;
const start = (log: MemoryLog, checkEvery: number | undefined, machine = new Numbers()) =>
  startReplica({ machine, log, ...(checkEvery === undefined ? {} : { checkEvery }) });
const statusOf = (replica: NumbersReplica): Promise<ReplicaStatus> =>
  new Promise((resolve) => replica.status$.subscribe(resolve));
/** Resolves when it has failed. */
const failed = ({ status$ }: NumbersReplica): Promise<ReplicaStatus> =>
  firstValueFrom(status$.pipe(filter(({ state }) => state === 'failed')));
const settle = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
};

describe('a check of states', () => {
  test('finds where a replica has parted from the others, between the last equal position and the first that is not; all stop', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(2),
        async (faultyAt, checkEvery, writer) => {
          const log = new MemoryLog();
          const positions: number[] = [];
          await using good = await start(log, checkEvery);
          await using other = await start(log, checkEvery);
          await using bad = await start(log, checkEvery, new Numbers(faultyAt));
          other.applied$.subscribe({ next: (it) => positions.push(it.position), error: () => {} });
          const all = [good, other, bad];
          for (let i = 0; i < 40 + 4 * checkEvery; i++) {
            await all[writer]!.execute(i).catch(() => {});
            await settle();
          }
          const statuses = await Promise.all(all.map(failed));
          const at = positions[faultyAt - 1]!;
          for (const { error } of statuses) {
            const { code, details } = error as { code: string; details: Record<string, number> };
            expect(code).toBe('STATE_DIVERGED');
            expect(details['after']).toBeLessThan(at);
            expect(details['position']).toBeGreaterThanOrEqual(at);
          }
          await expect(good.query(() => 0)).rejects.toMatchObject({ code: 'STATE_DIVERGED' });
        },
      ),
      { numRuns: 15 },
    );
  }, 60_000);

  test('replicas that are equal go on, whether they were started early or late, from a snapshot, or without checks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.option(fc.integer({ min: 1, max: 7 }), { nil: undefined }),
        fc.array(fc.boolean(), { minLength: 20, maxLength: 40 }),
        async (checkEvery, snapshotEvery, restarts) => {
          const log = new MemoryLog();
          const random = new SeededRandom(checkEvery);
          const open = (): Promise<NumbersReplica> =>
            startReplica({
              machine: new Numbers(),
              log,
              checkEvery,
              ...(snapshotEvery === undefined ? {} : { snapshotEvery }),
            });
          await using plain = await start(log, undefined);
          const all = [await open(), await open()];
          for (const [i, restart] of restarts.entries()) {
            const at = random.below(2);
            if (restart) {
              await all[at]!.close();
              all[at] = await open();
            }
            expect(await all[random.below(2)]!.execute(i)).toBe(i + 1);
          }
          await settle();
          for (const it of [plain, ...all]) {
            expect(await it.query(({ numbers }) => numbers.length)).toBe(restarts.length);
            const { checkedPosition } = await statusOf(it);
            if (it === plain) expect(checkedPosition).toBe(0);
          }
          for (const it of all) await it.close();
        },
      ),
      { numRuns: 15 },
    );
  }, 60_000);

  test('states are compared all the time, and an idle log stays idle', async () => {
    const log = new MemoryLog();
    await using one = await start(log, 5);
    await using other = await start(log, 5);
    for (let i = 0; i < 60; i++) await one.execute(i);
    await settle();
    const tail = await log.tail();
    expect(tail).toBeLessThan(61 + 60 / 2);
    for (const it of [one, other])
      expect((await statusOf(it)).checkedPosition).toBeGreaterThan(tail - 30);
    await settle();
    expect(await log.tail()).toBe(tail);
  });

  test('what a faulty replica said is passed over by order, so that sound ones go on', async () => {
    const log = new MemoryLog();
    await using bad = await start(log, 2, new Numbers(3));
    await bad.caughtUp();
    await using good = await start(log, undefined);
    for (let i = 0; i < 12; i++) await bad.execute(i);
    await settle();
    await bad.close();
    let passed = 0;
    for (;;) {
      await using again = await start(log, 2);
      const error = await again.caughtUp().catch((it: unknown) => it);
      if (error === undefined) break;
      const { code, details } = error as { code: string; details: Record<string, number> };
      expect(code).toBe('STATE_DIVERGED');
      await skipCommand(log, details['entry']!);
      passed++;
    }
    expect(passed).toBeGreaterThan(0);
    // Whoever does not compare is not affected.
    expect(await good.query(({ numbers }) => numbers.length)).toBe(12);
    await expect(start(log, 0)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
