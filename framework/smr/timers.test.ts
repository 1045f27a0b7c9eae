import fc from 'fast-check';
import { filter, firstValueFrom } from 'rxjs';
import { type Ports, sleep } from '../base/index.ts';
import { MemoryLog, World } from '../testing/index.ts';
import { type AlarmCommand, Alarms, checkAlarms } from './alarms.fixture.ts';
import {
  type ApplyContext,
  type ReplicaOptions,
  type StateMachine,
  startReplica,
} from './index.ts';

const HOUR = 3_600_000;
const set = (ms: number, again = 0): AlarmCommand => ({ op: 'set', ms, again });

/** Plays a scene in virtual time, with as many machines as it asks ports for. */
async function play<T>(seed: number, scene: (world: World) => Promise<T>): Promise<T> {
  const world = new World(seed, { guard: false });
  try {
    return await world.play(() => scene(world), 100 * HOUR);
  } finally {
    world.close();
  }
}

type AlarmOptions = Partial<ReplicaOptions<AlarmCommand, number, unknown, Alarms>>;
const start = (log: MemoryLog, ports: Ports, options: AlarmOptions = {}) =>
  startReplica({ ...options, machine: new Alarms(), log, ports });

const command: fc.Arbitrary<AlarmCommand> = fc.oneof(
  fc.record({ op: fc.constant('set' as const), ms: fc.nat(5_000), again: fc.nat(2) }),
  fc.record({ op: fc.constant('stop' as const), nth: fc.nat(30) }),
);
const faults = fc.array(
  fc.constantFrom('refused' as const, 'unknownApplied' as const, 'unknownLate' as const),
  { maxLength: 3 },
);

describe('timers', () => {
  test('each is due once, at the same place on all replicas, across snapshots, restarts and appends that fail', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(fc.tuple(command, fc.nat(2_000), faults), { maxLength: 12 }),
        fc.integer({ min: 1, max: 6 }),
        (seed, steps, snapshotEvery) =>
          play(seed, async (world) => {
            const { clock } = world.ports('test');
            const log = new MemoryLog();
            for (const part of [steps.slice(0, 6), steps.slice(6)]) {
              await using one = await start(log, world.ports('one'), { snapshotEvery });
              await using two = await start(log, world.ports('two'), { snapshotEvery });
              for (const [i, [it, ms, injected]] of part.entries()) {
                log.failNext(...injected);
                await (i % 2 === 0 ? one : two).execute(it);
                await sleep(clock, ms);
              }
            }
            await using one = await start(log, world.ports('one'));
            await using two = await start(log, world.ports('three'), { snapshotEvery });
            await one.caughtUp();
            // Nobody writes any more. Clocks differ by up to two seconds, and a late one is followed at half its speed.
            await sleep(clock, 60_000);
            expect(checkAlarms(one.machine.notes)).toEqual({ problems: [], pending: 0 });
            await two.caughtUp();
            expect(two.machine.notes).toEqual(one.machine.notes);
          }),
      ),
      { numRuns: 40 },
    );
  }, 60_000);

  test('a log in which none waits stays as it is, and one that does costs few entries', async () => {
    await play(1, async (world) => {
      const { clock } = world.ports('test');
      const log = new MemoryLog();
      await using one = await start(log, world.ports('one'));
      await using two = await start(log, world.ports('two'));
      await one.execute(set(1_000));
      await sleep(clock, HOUR);
      const ends = await log.tail();
      expect(checkAlarms(two.machine.notes).pending).toBe(0);
      await sleep(clock, 10 * HOUR);
      expect(await log.tail()).toBe(ends);
      await one.execute(set(25 * HOUR));
      const begin = await log.tail();
      await sleep(clock, 26 * HOUR);
      expect(checkAlarms(two.machine.notes)).toEqual({ problems: [], pending: 0 });
      expect(await log.tail()).toBeLessThan(begin + 16);
      expect(two.machine.notes).toEqual(one.machine.notes);
    });
  });

  test('one is due when its time has come by true clocks, though nobody writes: not before, and not much later', async () => {
    await play(2, async (world) => {
      const { clock } = world.ports('one');
      const log = new MemoryLog();
      await using one = await start(log, world.ports('one'));
      const late: number[] = [];
      for (const ms of [0, 5, 200, 5_000, HOUR]) {
        await one.execute(set(ms));
        const begun = clock.now();
        await firstValueFrom(one.applied$.pipe(filter(({ timer }) => timer !== undefined)));
        late.push(clock.now() - begun - ms);
      }
      for (const ms of late) {
        expect(ms).toBeGreaterThanOrEqual(-2);
        expect(ms).toBeLessThan(250);
      }
    });
  });

  test('a member that does not lead leaves it to the one that does, as long as that does it', async () => {
    await play(3, async (world) => {
      const { clock } = world.ports('test');
      const log = new MemoryLog();
      let appends = 0;
      const member = (leads: boolean): MemoryLog => {
        const own: MemoryLog = Object.create(log);
        const append: MemoryLog['append'] = (commands, options) => {
          appends += leads ? 0 : 1;
          return log.append(commands, options);
        };
        return Object.assign(own, { append, leads: () => leads });
      };
      const leader = await start(member(true), world.ports('leader'));
      await using follower = await start(member(false), world.ports('follower'));
      await leader.execute(set(100, 50));
      await sleep(clock, 30_000);
      expect(checkAlarms(follower.machine.notes)).toEqual({ problems: [], pending: 0 });
      expect(appends).toBe(0);
      await leader.execute(set(100));
      await leader.close();
      await sleep(clock, 10_000);
      expect(checkAlarms(follower.machine.notes)).toEqual({ problems: [], pending: 0 });
      expect(appends).toBeGreaterThan(0);
    });
  });

  test('one that is due at once waits for the next millisecond, so that a machine which always sets one stops nobody', async () => {
    await play(5, async (world) => {
      const { clock } = world.ports('test');
      await using one = await start(new MemoryLog(), world.ports('one'));
      await Promise.all([one.execute(set(-1_000, 20)), one.execute(set(0, 20))]);
      await sleep(clock, 30_000);
      const { notes } = one.machine;
      expect(checkAlarms(notes)).toEqual({ problems: [], pending: 0 });
      expect(new Set(notes.map(({ position }) => position)).size).toBeGreaterThan(20);
    });
  });

  test('over the limit the machine is told, and goes on when a timer is gone', async () => {
    await play(4, async (world) => {
      const { clock } = world.ports('test');
      await using one = await start(new MemoryLog(), world.ports('one'), {
        timers: { bytesMax: 400 },
      });
      const setOne = async (): Promise<boolean> => {
        await one.execute(set(1_000));
        const last = one.machine.notes.at(-1)!;
        return last.op === 'set' && last.set !== null;
      };
      expect([await setOne(), await setOne(), await setOne()]).toEqual([true, true, false]);
      await one.execute({ op: 'stop', nth: 0 });
      expect([await setOne(), await setOne()]).toEqual([true, false]);
      await sleep(clock, 10_000);
      expect(checkAlarms(one.machine.notes)).toEqual({ problems: [], pending: 0 });
    });
  });

  test('a context that was kept is of no use, and a time must be one', async () => {
    class Keeping implements StateMachine<number, string, null> {
      kept: ApplyContext<number> | undefined;
      apply(at: number, context: ApplyContext<number>): string {
        this.kept = context;
        try {
          return String(context.schedule(at === 0 ? Number.NaN : at, 1));
        } catch (error) {
          return (error as { code: string }).code;
        }
      }
      snapshot(): null {
        return null;
      }
      restore(): void {}
    }
    const machine = new Keeping();
    await using one = await startReplica({ machine, log: new MemoryLog() });
    expect(await one.execute(0)).toBe('INVALID_ARGUMENT');
    expect(await one.execute(1e15)).toBe('1');
    const refused = expect.objectContaining({ code: 'FAILED_PRECONDITION' });
    expect(() => machine.kept!.schedule(1, 1)).toThrow(refused);
    expect(() => machine.kept!.cancel(1)).toThrow(refused);
  });
});
