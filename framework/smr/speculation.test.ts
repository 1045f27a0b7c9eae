import { firstValueFrom, toArray } from 'rxjs';
import { type Clock, sleep, type VarlogError } from '../base/index.ts';
import { MemoryLog, World } from '../testing/index.ts';
import { Tally, type TallyCommand, type TallyResult } from './forkable.fixture.ts';
import { type Replica, type ReplicaOptions, startReplica } from './index.ts';
import type { Speculation, SpeculationEvent } from './speculation.ts';

type TallyReplica = Replica<TallyCommand, TallyResult, Tally>;
type Options = Partial<ReplicaOptions<TallyCommand, TallyResult, [string, number][], Tally>>;

interface Stage {
  readonly log: MemoryLog;
  readonly clock: Clock;
  readonly pass: (ms: number) => Promise<void>;
  readonly setBack: (name: string, ms: number) => void;
  readonly start: (name: string, options?: Options) => Promise<TallyReplica>;
}

/** A log in memory, and replicas on it that have caught up. */
async function play(scene: (stage: Stage) => Promise<void>): Promise<void> {
  const world = new World(1);
  try {
    await world.play(async () => {
      const { clock } = world.ports('test');
      const log = new MemoryLog({ clock });
      await scene({
        log,
        clock,
        pass: (ms) => sleep(clock, ms),
        setBack: (name, ms) => world.jumpWallClock(name, -ms),
        start: async (name, options = {}) => {
          const ports = world.ports(name);
          const machine = new Tally();
          const replica = await startReplica({ machine, log, ports, ...options });
          if (options.readOnly !== true) await replica.execute(add('start'));
          await replica.caughtUp();
          return replica;
        },
      });
    });
  } finally {
    world.close();
  }
}

const add = (key: string, by = 1): TallyCommand => ({ op: 'add', key, by });
const sum = (sum: number, done = true): TallyResult => ({ done, sum });
const stamp = (of: 'place' | 'time' | 'chance'): TallyCommand => ({ op: 'stamp', key: of, of });
const sumOf = (replica: TallyReplica, key: string, consistency: 'stale' | 'speculative') =>
  replica.query((it) => it.sums.get(key), { consistency });
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no error',
    ({ code, outcome }: VarlogError) => `${code} ${outcome}`,
  );
const eventsOf = (replica: TallyReplica): Promise<SpeculationEvent<TallyCommand, TallyResult>[]> =>
  firstValueFrom(replica.speculations$.pipe(toArray()));

test('a tentative answer knows all that its replica has under way, in its order, and nothing else does', () =>
  play(async ({ log, start }) => {
    const here = await start('here');
    const there = await start('there');
    const events = eventsOf(here);
    await here.execute(add('a', 10));
    log.disconnect();
    const first = here.execute(add('a', 1));
    const second = await here.speculate(add('a', 2));
    const third = here.execute(add('a', -5));
    const fourth = await here.speculate(add('a', -9));
    expect([second.tentative, fourth.tentative]).toEqual([sum(13), sum(8, false)]);
    expect(await sumOf(here, 'a', 'speculative')).toBe(8);
    for (const it of [here, there]) expect(await sumOf(it, 'a', 'stale')).toBe(10);
    log.connect();
    expect([await first, await third]).toEqual([sum(11), sum(8)]);
    const settled = [await second.settled, await fourth.settled];
    // What is done to one answer is not seen in any other.
    Object.assign(second.tentative, { sum: 0 });
    expect(settled).toMatchObject([
      { kind: 'confirmed', result: sum(13) },
      { kind: 'confirmed', result: sum(8, false) },
    ]);
    const at = settled.map((it) => it.position);
    expect(at[1]).toBe(at[0]! + 2);
    const consistency = { atLeast: at[0]! };
    expect(await there.query((it) => it.sums.get('a'), { consistency })).toBe(8);
    await Promise.all([here.close(), there.close()]);
    expect(await events).toEqual([
      { command: add('a', 2), tentative: sum(13), ...settled[0] },
      { command: add('a', -9), tentative: sum(8, false), ...settled[1] },
    ]);
  }));

test('what turns out otherwise says so, and what is asked then knows what came between', () =>
  play(async ({ log, start, pass }) => {
    const here = await start('here');
    const there = await start('there');
    await here.execute(add('a', 10));
    log.disconnect();
    const gone = await here.speculate(add('a', -8));
    const same = await here.speculate(add('b', 1));
    await pass(1);
    log.connect();
    // It is in the log before what `here` sends again after a pause.
    await there.execute(add('a', -5));
    await here.query(() => {}, { consistency: { atLeast: there.position } });
    const later = await here.speculate(add('a', -5));
    expect(gone.tentative).toEqual(sum(2));
    expect(later.tentative).toEqual(sum(0));
    expect(await gone.settled).toMatchObject({ kind: 'rolledBack', result: sum(5, false) });
    expect(await same.settled).toMatchObject({ kind: 'confirmed', result: sum(1) });
    expect(await later.settled).toMatchObject({ kind: 'confirmed', result: sum(0) });
    await pass(100);
    for (const it of [here, there]) expect(await sumOf(it, 'a', 'stale')).toBe(0);
  }));

test('each command costs one more apply, as long as nothing comes between', () =>
  play(async ({ log, clock, start, pass }) => {
    const link = log.link({ clock });
    link.latencyMs = 10;
    const here = await start('here', { log: link.asOrderedLog() });
    const fork = jest.spyOn(Tally.prototype, 'fork');
    const apply = jest.spyOn(Tally.prototype, 'apply');
    const count = 1_200;
    const settled: Promise<unknown>[] = [];
    for (let i = 0; i < count; i++) {
      const { tentative, settled: it } = await here.speculate(add('a'));
      expect(tentative).toEqual(sum(i + 1));
      settled.push(it);
      await pass(1);
    }
    await Promise.all(settled);
    const [forks, applied] = [fork.mock.calls.length, apply.mock.calls.length];
    jest.restoreAllMocks();
    expect(applied).toBeLessThan(2.1 * count);
    // One that was kept for long shares little with the machine.
    expect([forks > 1, forks < 10]).toEqual([true, true]);
  }));

test('what cannot be answered is not sent', () =>
  play(async ({ log, start }) => {
    const here = await start('here', { queueBytesMax: 200 });
    const events = eventsOf(here);
    expect(await codeOf(here.speculate({ op: 'break' }))).toBe('APPLY_FAILED notAppended');
    expect(await codeOf(here.speculate({ op: 'cycle' }))).toBe('APPLY_FAILED notAppended');
    const signal = AbortSignal.abort(new Error('gave up'));
    await expect(here.speculate(add('a'), { signal })).rejects.toThrow('gave up');
    const long = add('x'.repeat(300));
    expect(await codeOf(here.speculate(long))).toBe('RESOURCE_EXHAUSTED notAppended');
    const tail = await log.tail();
    expect((await here.speculate(add('a'))).tentative).toEqual(sum(1));
    expect(await here.execute(add('a'))).toEqual(sum(2));
    expect(await log.tail()).toBe(tail + 2);

    log.disconnect();
    const calls = [here.execute(add('a')), here.execute(add('a'))];
    const waiting = { whenFull: 'wait' } as object;
    for (const options of [{}, waiting])
      expect(await codeOf(here.speculate(add('a'), options))).toBe(
        'RESOURCE_EXHAUSTED notAppended',
      );
    log.connect();
    expect(await Promise.all(calls)).toEqual([sum(3), sum(4)]);

    const reader = await start('reader', { readOnly: true });
    expect(await codeOf(reader.speculate(add('a')))).toBe('FAILED_PRECONDITION notAppended');
    expect(await sumOf(reader, 'a', 'speculative')).toBe(4);
    const plain = await start('plain', { machine: withFork(undefined) });
    expect(await codeOf(plain.speculate(add('a')))).toBe('FAILED_PRECONDITION notAppended');
    expect(await codeOf(sumOf(plain, 'a', 'speculative'))).toBe('FAILED_PRECONDITION notAppended');
    const itself = await start('itself', {
      machine: withFork(function (this: Tally) {
        return this;
      }),
    });
    expect(await codeOf(itself.speculate(add('a')))).toBe('FAILED_PRECONDITION notAppended');
    await here.close();
    expect(await codeOf(here.speculate(add('a')))).toBe('CLOSED undefined');
    expect((await events).map((it) => it.kind)).toEqual(['confirmed']);
  }));

test('a request that was decided before, or is under way already, comes to the same once more', () =>
  play(async ({ log, start }) => {
    const here = await start('here');
    await here.execute(add('a', 10), { requestId: 'first' });
    const settled: Promise<unknown>[] = [];
    const answerTo = async (by: number, requestId: string): Promise<TallyResult> => {
      const speculation = await here.speculate(add('a', by), { requestId });
      settled.push(speculation.settled.then(({ kind, result }) => [kind, result]));
      return speculation.tentative;
    };
    log.disconnect();
    expect(await answerTo(10, 'first')).toEqual(sum(10));
    for (let i = 0; i < 2; i++) expect(await answerTo(5, 'second')).toEqual(sum(15));
    expect(await sumOf(here, 'a', 'speculative')).toBe(15);
    for (const id of ['first', 'second'])
      expect(await codeOf(answerTo(7, id))).toBe('REQUEST_MISMATCH notAppended');
    log.connect();
    const confirmed = [10, 15, 15].map((it) => ['confirmed', sum(it)]);
    expect(await Promise.all(settled)).toEqual(confirmed);
    expect(await here.execute(add('a', 1))).toEqual(sum(16));
  }));

function withFork(fork: unknown): Tally {
  return Object.assign(new Tally(), { fork });
}

test('what fails is told like that of execute, and is on no fork any more', () =>
  play(async ({ log, start, pass }) => {
    const here = await start('here');
    const events = eventsOf(here);
    log.disconnect();
    const late = await here.speculate(add('a', 100), { timeoutMs: 10 });
    const next = await here.speculate(add('a'));
    expect(next.tentative).toEqual(sum(101));
    await expect(late.settled).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(await sumOf(here, 'a', 'speculative')).toBe(1);
    const open = await here.speculate(add('a'));
    expect(open.tentative).toEqual(sum(2));
    await here.close();
    await expect(open.settled).rejects.toMatchObject({ code: 'CLOSED' });
    // `next` was not looked at, and is no unhandled rejection.
    await pass(10);
    expect((await events).map((it) => it.kind)).toEqual(['failed', 'failed', 'failed']);
  }));

test('timers of what is under way have their ids, can be called off once, and never fire', () =>
  play(async ({ log, start, pass }) => {
    const here = await start('here');
    const there = await start('there');
    await here.execute({ op: 'later', key: 'a', by: 1, ms: 60_000 });
    log.disconnect();
    const set = await here.speculate({ op: 'later', key: 'a', by: 1, ms: 1 });
    expect(set.tentative).toEqual({ timer: 2 });
    for (const timer of [1, 2]) {
      const cancel: TallyCommand = { op: 'cancel', timer };
      expect((await here.speculate(cancel)).tentative).toEqual({ cancelled: true });
      expect((await here.speculate(cancel)).tentative).toEqual({ cancelled: false });
    }
    await pass(1_000);
    expect(await sumOf(here, 'a', 'speculative')).toBeUndefined();
    const { timers } = await firstValueFrom(here.status$);
    expect(timers.waiting).toBe(1);
    log.connect();
    await here.caughtUp();
    await here.execute(add('b'));
    await there.caughtUp();
    for (const it of [here, there])
      expect((await firstValueFrom(it.status$)).timers.waiting).toBe(0);
  }));

test('what a command sees of its place and time is guessed, and right where nobody else writes', () =>
  play(async ({ start, pass }) => {
    const here = await start('here');
    await pass(300);
    for (const what of ['place', 'chance', 'time'] as const) {
      const { settled } = await here.speculate(stamp(what));
      const guess = await sumOf(here, what, 'speculative');
      await settled;
      expect(await sumOf(here, what, 'stale')).toBe(guess);
    }
  }));

test('a wrong guess of place or time does not last, though no answer shows it', () =>
  play(async ({ log, clock, start, pass }) => {
    const link = log.link({ clock });
    const here = await start('here', { log: link.asOrderedLog() });
    for (const what of ['place', 'time'] as const) {
      const seen: unknown[] = [];
      const watching = here.speculations$.subscribe(({ command }) => {
        if (command.op !== 'stamp') return;
        // At once, while `behind` is under way.
        const asking = here.speculate(add(what, 0));
        seen.push(asking, sum(here.machine.sums.get(what)!));
      });
      link.failNext('refused');
      const sent = here.execute(add('a'));
      await pass(1);
      const waits = await here.speculate(stamp(what));
      const behind = await here.speculate(add('a'));
      // What it was written at is not when it was guessed, and an entry without a command comes before it.
      await log.append([new Uint8Array([1])]);
      await pass(5);
      await sent;
      expect((await waits.settled).kind).toBe('confirmed');
      expect((await behind.settled).kind).toBe('confirmed');
      const [asked, committed] = await Promise.all(seen);
      expect((asked as Speculation<TallyResult>).tentative).toEqual(committed);
      watching.unsubscribe();
    }
  }));

test('time on a fork never goes back, though a clock does', () =>
  play(async ({ log, start, pass, setBack }) => {
    const here = await start('here');
    await pass(500);
    log.disconnect();
    await here.speculate(stamp('time'));
    const before = await sumOf(here, 'time', 'speculative');
    setBack('here', 400);
    await here.speculate(stamp('time'));
    expect(await sumOf(here, 'time', 'speculative')).toBeGreaterThanOrEqual(before!);
  }));

test('no more is scheduled on a fork than on its machine', () =>
  play(async ({ log, start }) => {
    const here = await start('here', { timers: { bytesMax: 450 } });
    const later: TallyCommand = { op: 'later', key: 'a', by: 1, ms: 60_000 };
    log.disconnect();
    const tries: TallyResult[] = [];
    for (const it of [later, later, later, { op: 'cancel', timer: 1 } as const, later])
      tries.push((await here.speculate(it)).tentative);
    expect(tries).toEqual([
      { timer: 1 },
      { timer: 2 },
      { timer: 0 },
      { cancelled: true },
      { timer: 3 },
    ]);
  }));

test('there is no tentative answer while a snapshot is taken over, and there is one after it', () =>
  play(async ({ log, clock, start, pass }) => {
    const there = await start('there');
    const link = log.link({ clock });
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const machine = new Tally();
    const restore = machine.restore.bind(machine);
    const slow = Object.assign(machine, {
      restore: (sums: [string, number][]) => held.then(() => restore(sums)),
    });
    const here = await start('here', { log: link.asOrderedLog(), machine: slow });
    link.followMs = 50;
    for (let i = 0; i < 5; i++) await there.execute(add('a'));
    await there.snapshot();
    await pass(300);
    expect(await codeOf(here.speculate(add('a')))).toBe('UNAVAILABLE notAppended');
    release();
    await here.caughtUp();
    expect((await here.speculate(add('a'))).tentative).toEqual(sum(6));
  }));

test('a request that took effect elsewhere is confirmed where the answer is the same, and leaves the fork', () =>
  play(async ({ log, start }) => {
    const here = await start('here');
    const there = await start('there');
    log.disconnect();
    const once = await here.speculate(add('a', 5), { requestId: 'once' });
    const other = await here.speculate(add('a', 5), { requestId: 'other' });
    expect([once.tentative, other.tentative]).toEqual([sum(5), sum(10)]);
    log.connect();
    const requestId = 'once';
    expect(await there.execute(add('a', 5), { requestId })).toEqual(sum(5));
    await there.execute(add('a', 5), { requestId: 'other' });
    expect(await once.settled).toMatchObject({ kind: 'confirmed', result: sum(5) });
    expect(await other.settled).toMatchObject({ kind: 'confirmed', result: sum(10) });
    expect(await sumOf(here, 'a', 'speculative')).toBe(10);
    const again = await here.speculate(add('a', 5), { requestId });
    expect(again.tentative).toEqual(sum(5));
    expect(await again.settled).toMatchObject({ kind: 'confirmed', result: sum(5) });
    expect(await sumOf(here, 'a', 'speculative')).toBe(10);
  }));

test('new rules come between what is under way and its answer', () =>
  play(async ({ log, clock, start }) => {
    const link = log.link({ clock });
    const here = await start('here', { log: link.asOrderedLog() });
    const there = await start('there');
    link.failNext('refused', 'refused');
    const early = await here.speculate(add('a'));
    await there.upgradeTo(2);
    await here.query(() => {}, { consistency: { atLeast: there.position } });
    const late = await here.speculate(add('a'));
    expect([early.tentative, late.tentative]).toEqual([sum(1), sum(4)]);
    expect(await early.settled).toMatchObject({ kind: 'rolledBack', result: sum(2) });
    expect(await late.settled).toMatchObject({ kind: 'confirmed', result: sum(4) });
  }));

test('whoever hears of an end may speculate at once', () =>
  play(async ({ start }) => {
    const here = await start('here');
    const answers: TallyResult[] = [];
    const chained: Promise<unknown>[] = [];
    here.speculations$.subscribe(() => {
      if (chained.length >= 5) return;
      const next = here.speculate(add('a')).then((it) => {
        answers.push(it.tentative);
        return it.settled;
      });
      chained.push(next);
    });
    await (await here.speculate(add('a'))).settled;
    for (let i = 0; i < chained.length; i++)
      expect(await chained[i]).toMatchObject({ kind: 'confirmed' });
    expect(answers).toEqual([2, 3, 4, 5, 6].map((it) => sum(it)));
  }));

test('nothing is guessed while a snapshot is taken over in part', async () => {
  const log = new MemoryLog();
  const later: TallyCommand = { op: 'later', key: 'a', by: 1, ms: 3_600_000 };
  await using first = await startReplica({ machine: new Tally(), log });
  for (let i = 1; i <= 3; i++) expect(await first.execute(later)).toEqual({ timer: i });
  await first.snapshot();
  const guesses: Promise<unknown>[] = [];
  class Watched extends Tally {
    override restore(sums: [string, number][]): void {
      super.restore(sums);
      void this.guess();
    }
    /** At every moment from when the machine has the state until long after the replica has. */
    private async guess(): Promise<void> {
      for (let i = 0; i < 50; i++) {
        await undefined;
        const guess = second.speculate(later).then(
          ({ tentative }) => (tentative as { timer: number }).timer,
          (error: VarlogError) => error.code,
        );
        guesses.push(guess);
      }
    }
  }
  await using second = await startReplica({ machine: new Watched(), log });
  await second.caughtUp();
  const told = await Promise.all(guesses);
  expect(told).toContain('UNAVAILABLE');
  expect(told).toContain(4);
  // Timers that the log has are not given once more.
  for (const taken of [1, 2, 3]) expect(told).not.toContain(taken);
});
