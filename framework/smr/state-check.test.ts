import fc from 'fast-check';
import { type OrderedLog, type Ports, sleep, type VarlogError } from '../base/index.ts';
import { SeededRandom, World } from '../testing/index.ts';
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
/** The log as one replica reaches it, with delays of its own. */
const from = (log: MemoryLog, { clock, random }: Pick<Ports, 'clock' | 'random'>): OrderedLog => ({
  identity: (options) => log.identity(options),
  tail: (options) => log.tail(options),
  append: async (commands, options) => {
    await sleep(clock, random.below(50));
    return log.append(commands, options);
  },
  follow: async function* (position, options) {
    for await (const it of log.follow(position, options)) {
      await sleep(clock, random.below(100));
      yield it;
    }
  },
});
const settle = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
};

describe('a check of states', () => {
  test('finds where replicas have parted, between the last equal position and the first that is not; who has the state of most goes on, all others stop', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(),
        async (sound, faulty, faultyAt, checkEvery, seed) => {
          const world = new World(seed);
          const { clock, random } = world.ports('test');
          const log = new MemoryLog({ clock });
          const positions: number[] = [];
          const play = async (): Promise<void> => {
            const all: NumbersReplica[] = [];
            for (let i = 0; i < sound + faulty; i++) {
              const machine = new Numbers(i < sound ? 0 : faultyAt);
              const ports = world.ports(`replica ${i}`);
              const own = from(log, ports);
              all.push(await startReplica({ machine, log: own, checkEvery, ports }));
            }
            all[0]!.applied$.subscribe({
              next: (it) => positions.push(it.position),
              error: () => {},
            });
            for (let i = 0; i < 40 + 4 * checkEvery; i++) {
              await all[random.below(all.length)]!.execute(i).catch(() => {});
              await sleep(clock, random.below(20));
            }
            await sleep(clock, 10_000);
            const statuses = await Promise.all(all.map(statusOf));
            const goesOn = (i: number): boolean => (i < sound ? sound > faulty : faulty > sound);
            expect(statuses.map(({ state }) => state)).toEqual(
              all.map((_, i) => (goesOn(i) ? 'running' : 'failed')),
            );
            const at = positions[faultyAt - 1]!;
            for (const { error } of statuses.filter(({ state }) => state === 'failed')) {
              const { code, details } = error as VarlogError;
              expect(code).toBe('STATE_DIVERGED');
              expect(details['after']).toBeLessThan(at);
              expect(details['position']).toBeGreaterThanOrEqual(at);
            }
            if (sound <= faulty) {
              const stopped = { code: 'STATE_DIVERGED' };
              await expect(all[0]!.query(() => 0)).rejects.toMatchObject(stopped);
            } else {
              // One that begins later learns from the log what came of it.
              const ports = world.ports('later');
              const later = await startReplica({ machine: new Numbers(), log, checkEvery, ports });
              const [one, other] = [all[0]!, later].map((it) =>
                it.query(({ numbers }) => [...numbers]),
              );
              expect(await other).toEqual(await one);
              await later.close();
            }
            for (const it of all) await it.close();
          };
          try {
            await world.play(play, 600_000);
          } finally {
            world.close();
          }
        },
      ),
      { numRuns: 20 },
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
    for (let seed = 1; seed <= 20; seed++) {
      // What each replica draws is from the seed: how often it writes a check, and how far behind the last one the log ends.
      const world = new World(seed);
      const { clock } = world.ports('test');
      const log = new MemoryLog({ clock });
      const open = (name: string): Promise<NumbersReplica> =>
        startReplica({ machine: new Numbers(), log, checkEvery: 5, ports: world.ports(name) });
      const play = async (): Promise<void> => {
        await using one = await open('one');
        await using other = await open('other');
        for (let i = 0; i < 60; i++) await one.execute(i);
        await sleep(clock, 1_000);
        const tail = await log.tail();
        expect(tail).toBeLessThan(61 + 60 / 2);
        for (const it of [one, other])
          expect((await statusOf(it)).checkedPosition).toBeGreaterThan(tail / 2);
        await sleep(clock, 60_000);
        expect(await log.tail()).toBe(tail);
      };
      try {
        await world.play(play, 600_000);
      } finally {
        world.close();
      }
    }
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
