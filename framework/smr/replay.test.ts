import fc from 'fast-check';
import { chunksOf, joined, VarlogError } from '../base/index.ts';
import { MemoryLog } from '../testing/memory-log.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SeededRandom } from '../testing/simulator/random.ts';
import { DiskSnapshotStore } from './disk-snapshot-store.ts';
import {
  type ApplyContext,
  type Cause,
  type MachineDefinition,
  replay,
  type StateMachine,
  skipCommand,
  startReplica,
  versionedJson,
  why,
} from './index.ts';
import { breaking, logWithSkip } from './skipped-log.fixture.ts';
import { type Put, Sums, sumsWith } from './sums.fixture.ts';

type Accounts = Sums['sums'];

const puts = fc.array(
  fc.record({ key: fc.constantFrom('a', 'b', 'c'), value: fc.integer({ min: 1, max: 5 }) }),
  { minLength: 1, maxLength: 30 },
);

/** A log of the commands, and their positions. */
async function logOf(commands: readonly Put[]): Promise<{ log: MemoryLog; positions: number[] }> {
  const log = new MemoryLog();
  const positions: number[] = [];
  await using replica = await startReplica({ machine: new Sums(), log });
  replica.applied$.subscribe((it) => positions.push(it.position));
  for (const command of commands) {
    // Entries of others lie in between.
    if (command.value === 1) await log.append([new TextEncoder().encode('stray')]);
    await replica.execute(command);
  }
  return { log, positions };
}

const storeOf = (position: number, state: Uint8Array) => ({
  load: async () => ({
    position,
    chunks: (async function* () {
      yield state;
    })(),
  }),
});

describe('a replay', () => {
  test('finds the very command at which two versions part, whatever they do differently there', async () => {
    await fc.assert(
      fc.asyncProperty(
        puts,
        fc.nat(),
        fc.constantFrom('result', 'state', 'failure'),
        fc.integer({ min: 1, max: 9 }),
        fc.boolean(),
        async (commands, n, kind, stateEvery, isOld) => {
          const { log, positions } = await logOf(commands);
          const tail = await log.tail();
          const at = n % commands.length;
          const [bad, good] = [sumsWith({ at: at + 1, kind }), sumsWith()];
          const sides = isOld ? { against: bad, machine: good } : { against: good, machine: bad };
          const { difference } = await replay({ log, ...sides, stateEvery });
          const command = kind === 'failure' && isOld ? expect.anything() : commands[at];
          expect(difference).toMatchObject({
            kind,
            position: positions[at],
            path: kind === 'state' ? `$.sums.${commands[at]!.key}` : '$',
            ...(kind === 'failure' && !isOld ? {} : { command }),
          });
          const before = at === 0 ? 0 : positions[at - 1]!;
          if (kind === 'state') expect(difference!.after).toBe(before);
          expect(await replay({ log, against: good, machine: good, stateEvery })).toEqual({
            commands: commands.length,
            position: tail,
          });
          expect(await log.tail()).toBe(tail);
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);

  test('with one machine twice it finds what is not deterministic', async () => {
    const { log, positions } = await logOf(
      Array.from({ length: 20 }, () => ({ key: 'a', value: 1 })),
    );
    let made = 0;
    const make = (): Sums => new Sums(made++ % 2 === 0 ? undefined : { at: 7, kind: 'state' });
    const { difference } = await replay({ log, against: { make }, machine: { make } });
    expect(difference).toMatchObject({ position: positions[6], path: '$.sums.a', left: '7' });
  });

  test('values of different shapes are compared in the newer one', async () => {
    const { log } = await logOf([{ key: 'a', value: 2 }]);
    const result = versionedJson<[number, { sum: number }]>({ upcast: { 1: (sum) => ({ sum }) } });
    type Old = { sums: Accounts; count: number };
    const snapshot = versionedJson<[Old, Accounts]>({ upcast: { 1: ({ sums }) => sums } });
    class Young implements StateMachine<Put, { sum: number }, Accounts> {
      private sums: Accounts = {};
      apply({ key, value }: Put): { sum: number } {
        this.sums[key] = (this.sums[key] ?? 0) + value;
        return { sum: this.sums[key] };
      }
      snapshot(): Accounts {
        return this.sums;
      }
      restore(sums: Accounts): void {
        this.sums = sums;
      }
    }
    const old = {
      result: versionedJson<[number]>({ upcast: {} }),
      snapshot: versionedJson<[Old]>({ upcast: {} }),
    };
    const against = { make: () => new Sums(), codec: old } as MachineDefinition;
    const machine = { make: () => new Young(), codec: { result, snapshot } } as MachineDefinition;
    expect(await replay({ log, against, machine })).toEqual({ commands: 1, position: 2 });
  });

  test('begins with a snapshot, ends where it is told to, and passes over what is to be passed over', async () => {
    const log = new MemoryLog();
    const bad = new Sums({ at: 3, kind: 'failure' });
    await using replica = await startReplica({ machine: bad, log, snapshotEvery: 1 });
    const kept: { position: number; state: Uint8Array }[] = [];
    log.compact = async (position, state) => {
      kept.push({ position, state: await joined(chunksOf(state)) });
    };
    for (const value of [1, 2]) await replica.execute({ key: 'a', value });
    const error = await replica.execute({ key: 'a', value: 3 }).catch((it: unknown) => it);
    const { position } = (error as { cause: { details: { position: number } } }).cause.details;
    const both = sumsWith({ at: 3, kind: 'failure' });
    await expect(replay({ log, against: both, machine: both })).rejects.toMatchObject({
      code: 'APPLY_FAILED',
      details: { position },
    });
    const to = position - 1;
    expect(await replay({ log, against: both, machine: both, to })).toMatchObject({ commands: 2 });
    await skipCommand(log, position);
    const beyond = { code: 'BEYOND_TAIL' };
    const far = (await log.tail()) + 1;
    await expect(replay({ log, against: both, machine: both, to: far })).rejects.toMatchObject(
      beyond,
    );
    const causes = why({ log, machine: both, key: 'a', to: far });
    await expect(causes.next()).rejects.toMatchObject(beyond);
    const passed = await replay({ log, against: both, machine: both });
    expect(passed).toEqual({ commands: 2, position: position + 1 });
    const { position: at, state } = kept.at(-1)!;
    const from = storeOf(at, state);
    const rest = await replay({ log, against: both, machine: both, from });
    expect(rest).toEqual({ commands: to - at, position: position + 1 });
  });

  test('begins with the snapshot that the log itself keeps in place of its head', async () => {
    const log = new MemoryLog();
    await using replica = await startReplica({ machine: new Sums(), log, snapshotEvery: 4 });
    for (let value = 1; value <= 10; value++) await replica.execute({ key: 'a', value });
    const tail = await log.tail();
    const kept = await replay({ log, against: sumsWith(), machine: sumsWith() });
    expect(kept.commands).toBeLessThan(7);
    expect(kept).toEqual({ commands: kept.commands, position: tail });
    class Forgetful extends Sums {
      override restore(snapshot: { sums: Accounts; count: number }): void {
        super.restore({ ...snapshot, count: 0 });
      }
    }
    const machine = { make: () => new Forgetful() };
    const { difference } = await replay({ log, against: sumsWith(), machine });
    expect(difference).toMatchObject({ kind: 'state', path: '$.count', right: '0' });
  });

  test('compares from a fork on: what the new version does differently before it does not count', async () => {
    const commands = [1, 2, 3, 4].map((value) => ({ key: 'a', value }));
    const { log, positions } = await logOf(commands);
    const range = { log, against: sumsWith() };
    const second = { ...range, machine: sumsWith({ at: 2, kind: 'state' }) };
    const all = await replay(second);
    expect(all.difference?.position).toBe(positions[1]);
    const after = await replay({ ...second, forkAt: positions[1]! });
    expect([after.difference, after.commands]).toEqual([undefined, 2]);
    const third = { ...range, machine: sumsWith({ at: 3, kind: 'state' }) };
    const found = await replay({ ...third, forkAt: positions[1]!, stateEvery: 100 });
    expect(found.difference).toMatchObject({ position: positions[2], after: positions[1] });
    await expect(replay({ ...third, forkAt: positions[2]!, to: positions[1]! })).rejects.toThrow(
      /INVALID_ARGUMENT.*fork before the end/,
    );
  });

  test('begins at one place with both versions, also where a replica stores a newer snapshot meanwhile', async () => {
    const log = new MemoryLog();
    Object.assign(log, { compact: undefined });
    const snapshots = new DiskSnapshotStore(
      new SimulatedDisk({ random: new SeededRandom('replay') }),
    );
    await using replica = await startReplica({ machine: new Sums(), log, snapshots });
    const load = async () => {
      await replica.execute({ key: 'a', value: 2 });
      await replica.snapshot();
      return snapshots.load();
    };
    await replica.execute({ key: 'a', value: 1 });
    await load();
    for (let i = 0; i < 5; i++) await replica.execute({ key: 'a', value: 3 });
    const to = await log.tail();
    let loaded = 0;
    const from = { load: () => (loaded++ === 1 ? load() : snapshots.load()) };
    // The second snapshot is behind the end.
    const early = replay({ log, against: sumsWith(), machine: sumsWith(), from, to });
    await expect(early).rejects.toMatchObject({ code: 'NOT_FOUND' });
    loaded = 0;
    const far = (await log.tail()) + 1;
    await replica.execute({ key: 'a', value: 4 });
    const late = { load: () => (loaded++ === 0 ? snapshots.load() : from.load()) };
    const same = await replay({ log, against: sumsWith(), machine: sumsWith(), from: late });
    expect(same).toEqual({ commands: expect.any(Number), position: far });
  });

  test('what begins behind its end is refused, and not found to be equal', async () => {
    const log = new MemoryLog();
    await using replica = await startReplica({ machine: new Sums(), log });
    for (const value of [1, 2, 3]) await replica.execute({ key: 'a', value });
    const to = (await log.tail()) - 1;
    let kept: Uint8Array = new Uint8Array();
    const compact = log.compact.bind(log);
    log.compact = async (position, state) => {
      kept = await joined(chunksOf(state));
      await compact(position, kept);
    };
    const at = await replica.snapshot();
    const both = { against: sumsWith(), machine: sumsWith({ at: 1, kind: 'state' }) };
    const trimmed = { code: 'TRIMMED', details: { position: to, firstAvailable: at + 1 } };
    await expect(replay({ log, ...both, to })).rejects.toMatchObject(trimmed);
    const causes = why({ log, machine: sumsWith(), key: 'a', to });
    await expect(causes.next()).rejects.toMatchObject(trimmed);
    const from = storeOf(at, kept);
    const beyond = { code: 'NOT_FOUND', details: { position: at, upTo: to } };
    await expect(replay({ log, ...both, from, to })).rejects.toMatchObject(beyond);
    const late = why({ log, machine: sumsWith(), key: 'a', from, to });
    await expect(late.next()).rejects.toMatchObject(beyond);
  });

  test('the first command at which the states differ is not looked for behind a snapshot that came in between', async () => {
    const log = new MemoryLog();
    Object.assign(log, { compact: undefined });
    const snapshots = new DiskSnapshotStore(
      new SimulatedDisk({ random: new SeededRandom('replay') }),
    );
    await using replica = await startReplica({ machine: new Sums(), log, snapshots });
    for (let i = 0; i < 6; i++) {
      await replica.execute({ key: 'a', value: 1 });
      if (i === 3) await replica.snapshot();
    }
    let loaded = 0;
    const from = { load: async () => (++loaded <= 2 ? undefined : snapshots.load()) };
    // From the third command on its sum is wrong in each.
    class Wrong extends Sums {
      override apply(put: Put, context: ApplyContext): number {
        const sum = super.apply(put, context);
        if (this.count > 2) this.sums[put.key] = sum + 1;
        return sum;
      }
    }
    const machine = { make: () => new Wrong() };
    const to = await log.tail();
    const results = { codec: { result: { encode: () => new Uint8Array(1), decode: () => 0 } } };
    const { difference } = await replay({
      log,
      from,
      to,
      against: { ...sumsWith(), ...results },
      machine: { ...machine, ...results },
    });
    expect(difference).toMatchObject({ kind: 'state', position: to, after: 0 });
  });

  test('from a fork on, what is to be passed over is passed over with the state that was taken over', async () => {
    const { log, forkAt, position } = await logWithSkip();
    /** With what lies before the fork it would come to something else. */
    class Newer extends Sums {
      override apply(put: Put, context: ApplyContext): number {
        if (context.position <= forkAt) this.sums['old'] = 1;
        return super.apply(put, context);
      }
    }
    const machine = { make: () => new Newer({ at: 3, kind: 'failure' }) };
    const to = position + 1;
    const verdict = await replay({ log, against: breaking, machine, forkAt, to });
    expect(verdict).toEqual({ commands: 0, position: to });
  });

  test('given up, or without the log, while one version reads it once more it says so, and not that the two differ', async () => {
    const { log, position } = await logWithSkip();
    const giving = new AbortController();
    const { signal } = giving;
    const reason = new Error('enough');
    const lost = new VarlogError('UNAVAILABLE', { what: 'no quorum' });
    const ends: [() => void, unknown][] = [
      [() => Promise.reject(lost), lost],
      [() => giving.abort(reason), reason],
    ];
    for (const [end, said] of ends) {
      let reads = 0;
      const flaky = Object.assign(Object.create(log) as MemoryLog, {
        async *follow(...[from, options]: Parameters<MemoryLog['follow']>) {
          if (from === 1 && ++reads > 1) await end();
          yield* log.follow(from, options);
        },
      });
      const both = { against: sumsWith(), machine: breaking, to: position + 1, stateEvery: 1 };
      await expect(replay({ log: flaky, ...both, signal })).rejects.toBe(said);
    }
  });

  test('two different machines are no two versions', async () => {
    const machine = { make: () => new Sums(), name: 'other' };
    await expect(replay({ log: new MemoryLog(), against: sumsWith(), machine })).rejects.toThrow(
      /INVALID_ARGUMENT.*"machine".*"other"/,
    );
  });
});

test('a name that no command carries is told, by replay and by why', async () => {
  const { log } = await logOf([{ key: 'a', value: 1 }]);
  const machine = { make: () => new Sums(), name: 'misspelt' };
  const told = { code: 'NOT_FOUND', message: expect.stringContaining('"misspelt"') };
  await expect(replay({ log, machine, against: machine })).rejects.toMatchObject(told);
  const causes = why({ log, machine, key: 'a' });
  await expect(causes.next()).rejects.toMatchObject(told);
  // Where there is nothing at all, nothing differs.
  const nothing = await replay({ log: new MemoryLog(), machine, against: machine });
  expect(nothing).toEqual({ commands: 0, position: 0 });
});

describe('why', () => {
  test('names the entries after which the value under a key is another one, and no others', async () => {
    await fc.assert(
      fc.asyncProperty(puts, async (commands) => {
        const { log, positions } = await logOf(commands);
        const causes: Cause[] = [];
        for await (const it of why({ log, machine: sumsWith(), key: 'b' })) causes.push({ ...it });
        let sum = 0;
        const expected = commands.flatMap((command, i) => {
          if (command.key !== 'b') return [];
          sum += command.value;
          return [{ position: positions[i], command, result: sum, value: sum }];
        });
        expect(causes).toEqual(expected.map((it) => expect.objectContaining(it)));
      }),
      { numRuns: 20 },
    );
  });

  test('a machine without `inspect`, and one that fails, are told', async () => {
    const { log } = await logOf([{ key: 'a', value: 2 }]);
    const blind = { make: () => ({ apply: () => 0, snapshot: () => 0, restore: () => {} }) };
    const ask = async (machine: MachineDefinition): Promise<void> => {
      for await (const _ of why({ log, machine, key: 'a' }));
    };
    await expect(ask(blind)).rejects.toThrow(/INVALID_ARGUMENT.*inspect/);
    await expect(ask(sumsWith({ at: 1, kind: 'failure' }))).rejects.toThrow(/APPLY_FAILED/);
  });
});
