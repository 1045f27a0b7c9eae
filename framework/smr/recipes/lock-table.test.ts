import fc from 'fast-check';
import { lastValueFrom } from 'rxjs';
import { sleep } from '../../base/index.ts';
import { MemoryLog, World } from '../../testing/index.ts';
import { type ApplyContext, electLeader, type Leadership, startReplica } from '../index.ts';
import { type LockCommand, type LockResult, LockTable } from './lock-table.ts';
import { Locking, type LockingCommand } from './locking.fixture.ts';

const NAMES = ['a', 'b'];

async function play<T>(seed: number, scene: (world: World) => Promise<T>): Promise<T> {
  const world = new World(seed, { guard: false });
  try {
    return await world.play(() => scene(world), 100 * 3_600_000);
  } finally {
    world.close();
  }
}

const start = (world: World, log: MemoryLog, machine: string, snapshotEvery = 3) =>
  startReplica({ machine: new Locking(), log, ports: world.ports(machine), snapshotEvery });

const command: fc.Arbitrary<LockCommand> = fc.oneof(
  fc.record({
    op: fc.constant('acquire' as const),
    name: fc.constantFrom(...NAMES),
    owner: fc.constantFrom('x', 'y'),
    ttlMs: fc.oneof(
      { weight: 9, arbitrary: fc.nat(3_000) },
      { weight: 1, arbitrary: fc.constant(-1) },
    ),
  }),
  fc.record({
    op: fc.constantFrom('renew' as const, 'release' as const),
    name: fc.constantFrom(...NAMES),
    // How many were granted since.
    token: fc.constantFrom(0, 0, 0, 1),
  }),
  // Somebody's own doing: only a timer ends a lease.
  fc.record({ op: fc.constant('expire' as const), lease: fc.integer({ min: 1, max: 8 }) }),
);

/** Locks by the rules, of what was applied alone. */
class Model {
  private readonly held = new Map<string, { token: number; expiresAt: number; ttlMs: number }>();
  granted = 0;

  check(lock: LockCommand, result: LockResult, time: number, timer: number | undefined): void {
    for (const [name, { expiresAt }] of this.held) if (expiresAt <= time) this.held.delete(name);
    if (lock.op === 'expire') {
      expect(result.done).toBe(timer !== undefined);
      return;
    }
    const held = this.held.get(lock.name);
    if (lock.op === 'acquire') {
      const { ttlMs } = lock;
      const refusal = held !== undefined ? 'HELD' : ttlMs < 1 ? 'NO_ROOM' : undefined;
      expect(result.done ? undefined : result.refusal).toBe(refusal);
      if (!result.done) return;
      this.held.set(lock.name, { token: ++this.granted, expiresAt: time + ttlMs, ttlMs });
    } else {
      expect(result.done ? undefined : result.refusal).toBe(
        held?.token === lock.token ? undefined : 'NOT_HELD',
      );
      if (!result.done) return;
      if (lock.op === 'release') this.held.delete(lock.name);
      else held!.expiresAt = time + held!.ttlMs;
    }
    const { token, expiresAt } = this.held.get(lock.name) ?? {};
    expect(result.lock?.token).toBe(token);
    expect(result.lock?.expiresAt).toBe(expiresAt);
  }
}

describe('locks', () => {
  test('one holds at a time, for its lease, under a token that grows, across snapshots and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(fc.tuple(command, fc.nat(2_000)), { maxLength: 25 }),
        (seed, steps) =>
          play(seed, async (world) => {
            const { clock } = world.ports('test');
            const log = new MemoryLog();
            const model = new Model();
            const problems: unknown[] = [];
            for (const part of [steps.slice(0, 12), steps.slice(12)]) {
              await using one = await start(world, log, 'one');
              await one.caughtUp();
              one.applied$.subscribe(({ command: { lock }, result, time, timer }) => {
                // What a subscriber throws is not heard of.
                try {
                  model.check(lock, result, time, timer);
                } catch (error) {
                  problems.push(error);
                }
              });
              for (const [lock, ms] of part) {
                const asked =
                  'token' in lock ? { ...lock, token: model.granted - lock.token } : lock;
                await one.execute({ lock: asked });
                await sleep(clock, ms);
              }
            }
            await using last = await start(world, log, 'two');
            await last.caughtUp();
            await sleep(clock, 60_000);
            expect(problems).toEqual([]);
            for (const name of NAMES) expect(last.machine.locks.get(name)).toBeUndefined();
          }),
      ),
      { numRuns: 20 },
    );
  }, 60_000);

  test('a time to live that is no number is refused, and stops no replica', async () => {
    await play(1, async (world) => {
      await using one = await start(world, new MemoryLog(), 'one');
      for (const ttlMs of ['5000', [3_000], true, {}, null] as number[]) {
        const lock = { op: 'acquire' as const, name: 'a', owner: 'x', ttlMs };
        const refused = { done: false, refusal: 'NO_ROOM', lock: null };
        expect(await one.execute({ lock })).toEqual(refused);
      }
    });
  });

  test('a lock that finds no room for its renewal has ended', () => {
    let room = true;
    const context = {
      time: 1,
      schedule: () => (room ? 1 : undefined),
      cancel: () => true,
    } as unknown as ApplyContext<LockCommand>;
    const locks = new LockTable<LockCommand>((lock) => lock);
    locks.apply({ op: 'acquire', name: 'a', owner: 'x', ttlMs: 9 }, context);
    room = false;
    const refused = { done: false, refusal: 'NOT_HELD', lock: null };
    expect(locks.apply({ op: 'renew', name: 'a', token: 1 }, context)).toEqual(refused);
    room = true;
    const next = { op: 'acquire' as const, name: 'a', owner: 'y', ttlMs: 9 };
    expect(locks.apply(next, context)).toMatchObject({ done: true, lock: { token: 2 } });
  });

  test('one candidate leads at a time, though leaders die and stand still, and each has a larger token', async () => {
    for (let seed = 1; seed <= 3; seed++) {
      await play(seed, async (world) => {
        const { clock, random } = world.ports('test');
        const log = new MemoryLog();
        const ttlMs = 2_000;
        const leading = new Map<number, Leadership>();
        const tokens: number[] = [];
        const problems: string[] = [];
        const candidate = async (number: number) => {
          const replica = await start(world, log, `candidate ${number}`);
          const election = electLeader<LockingCommand, LockResult, Locking>({
            replica,
            name: 'leader',
            owner: `candidate ${number}`,
            ttlMs,
            locks: (it) => it.locks,
            command: (lock) => ({ lock }),
            result: (it) => it,
            ports: world.ports(`candidate ${number}`),
          });
          election.leadership$.subscribe((it) => {
            leading.delete(number);
            if (it === undefined) return;
            leading.set(number, it);
            if (election.token !== it.token) problems.push('it leads under another token');
            if (leading.size !== 1) problems.push(`${leading.size} lead at once`);
            if (it.token <= (tokens.at(-1) ?? 0)) problems.push('the token does not grow');
            tokens.push(it.token);
          });
          return { replica, election };
        };
        const candidates = new Map<number, Awaited<ReturnType<typeof candidate>>>();
        for (let number = 1; number <= 3; number++) candidates.set(number, await candidate(number));
        for (let round = 0; round < 10; round++) {
          const begun = clock.now();
          while (leading.size === 0) await sleep(clock, 50);
          // A lease ends by the log's time, which may go at half the speed of a clock.
          expect(clock.now() - begun).toBeLessThan(2 * ttlMs + 3_000);
          await sleep(clock, random.below(5_000));
          const [number, leadership] = [...leading][0] ?? [];
          if (number === undefined) continue;
          const { replica, election } = candidates.get(number)!;
          if (random.below(2) === 0) await election.resign();
          await replica.close();
          await election.resign();
          expect(leadership!.signal.aborted).toBe(true);
          expect(election.token).toBeUndefined();
          candidates.set(number, await candidate(number));
        }
        for (const { replica, election } of candidates.values()) {
          await election.resign();
          await replica.close();
        }
        expect(problems).toEqual([]);
        expect(tokens.length).toBeGreaterThan(5);
      });
    }
  }, 60_000);

  test('a candidate whose functions throw says so, and is none any more', async () => {
    await play(8, async (world) => {
      await using replica = await start(world, new MemoryLog(), 'one');
      const given = { replica, name: 'leader', owner: 'one', ports: world.ports('one') };
      const right = {
        locks: (it: Locking) => it.locks,
        command: (lock: LockCommand) => ({ lock }),
        result: (it: LockResult) => it,
      };
      const wrong = (): never => {
        throw new Error('wrong');
      };
      for (const bug of [{ command: wrong }, { result: wrong }]) {
        const election = electLeader<LockingCommand, LockResult, Locking>({
          ...given,
          ...right,
          ...bug,
          ttlMs: 1_000,
        });
        await expect(lastValueFrom(election.leadership$)).rejects.toThrow('wrong');
        expect(election.token).toBeUndefined();
        await election.resign();
      }
      for (const ttlMs of ['5', Number.NaN, 0] as number[]) {
        const election = () =>
          electLeader<LockingCommand, LockResult, Locking>({ ...given, ...right, ttlMs });
        expect(election).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
      }
    });
  });

  test('a candidate that cannot reach the log gives up before its lease ends', async () => {
    await play(7, async (world) => {
      const { clock } = world.ports('test');
      const log = new MemoryLog();
      await using replica = await start(world, log, 'one');
      const election = electLeader<LockingCommand, LockResult, Locking>({
        replica,
        name: 'leader',
        owner: 'one',
        ttlMs: 2_000,
        locks: (it) => it.locks,
        command: (lock) => ({ lock }),
        result: (it) => it,
        ports: world.ports('one'),
      });
      let leadership: Leadership | undefined;
      election.leadership$.subscribe((it) => {
        leadership = it;
      });
      await sleep(clock, 10_000);
      const { token } = leadership!;
      log.disconnect();
      await sleep(clock, 1_000);
      expect(leadership).toBeUndefined();
      expect(election.token).toBeUndefined();
      log.connect();
      await sleep(clock, 20_000);
      expect(leadership!.token).toBeGreaterThanOrEqual(token);
      await election.resign();
    });
  });
});
