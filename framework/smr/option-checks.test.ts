import { checkpointDirectory, Varlog } from '../log/index.ts';
import { MemoryLog } from '../testing/index.ts';
import {
  bytesCodec,
  electLeader,
  Outbox,
  objectDirectory,
  type ReplicaOptions,
  runEffects,
  skipCommand,
  snapshotDirectory,
  startReplica,
  startShards,
  TransactionMachine,
  transactions,
  upgradeRules,
} from './index.ts';

/** Adds up; counts, so that one number is as good as another. */
class Sum {
  value = 0;
  apply(add: number): number {
    this.value += add;
    return this.value;
  }
  snapshot(): number {
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
}

type Options = Partial<ReplicaOptions<number, number, number, Sum>>;
/** As a program in plain JavaScript gives them. */
const start = (options: object) =>
  startReplica({ machine: new Sum(), log: new MemoryLog(), ...(options as Options) });

const NO_NUMBERS = ['5', Number.NaN, -1, null, true, {}];
const refused = { code: 'INVALID_ARGUMENT' };

describe('options of a replica', () => {
  const numbers = ['callTimeoutMs', 'queueBytesMax', 'changesBytesMax', 'timeLeapMaxMs'];
  test.each([...numbers, 'snapshotEvery', 'checkEvery'])('%s is a number', async (key) => {
    for (const value of NO_NUMBERS) {
      // A schedule that names nothing is one.
      if (key === 'snapshotEvery' && typeof value === 'object' && value !== null) continue;
      await expect(start({ [key]: value })).rejects.toMatchObject(refused);
    }
  });

  test('limits are given whole', async () => {
    const groups = { sessions: 'idleMs', requests: 'keepMs', timers: 'bytesMax' };
    for (const [group, key] of Object.entries(groups)) {
      for (const value of ['x', null, {}, { [key]: Number.NaN }])
        await expect(start({ [group]: value })).rejects.toMatchObject(refused);
    }
    await expect(start({ snapshotEvery: { ms: '5' } })).rejects.toMatchObject(refused);
  });

  test('a store in a folder without a path is refused before anything is written', () => {
    for (const store of [snapshotDirectory, objectDirectory, checkpointDirectory])
      for (const path of [undefined, ''])
        expect(() => store(path as string)).toThrow(/INVALID_ARGUMENT: path is \w+; give path/);
  });

  test('a client without endpoints is told what to give', async () => {
    for (const missing of [undefined, {}])
      await expect(Varlog.connect(missing as unknown as string)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('varlog://host:port'),
      });
  });

  test('one that is not known is refused, and those that are there are told', async () => {
    await expect(start({ snapshotsEvery: 5 })).rejects.toThrow(
      /INVALID_ARGUMENT: there is no option "snapshotsEvery" of startReplica; choose among .*snapshotEvery/,
    );
    const odd = [{ snapshotEvery: { entires: 5 } }, { codec: { commands: bytesCodec } }];
    for (const options of [...odd, { codec: bytesCodec }])
      await expect(start(options)).rejects.toThrow(/there is no option "\w+" of (codec|snapshotE)/);
    const shards = { machine: () => new Sum(), keyOf: () => 'a', logs: [new MemoryLog()] };
    const alone = { ...shards, alone: false };
    await expect(startShards(alone)).rejects.toThrow(/no option "alone" of startShards/);
    await expect(startShards({ ...shards, machine: Sum as never })).rejects.toThrow(
      /machine is the class Sum; .*\(\) => new Sum\(\)/,
    );
  });

  test('a definition may be spread into them', async () => {
    const definition = { make: () => new Sum(), name: 'sum' };
    await using replica = await start({ ...definition, machine: definition.make() });
    expect(await replica.execute(1)).toBe(1);
  });

  test('what is not of its kind is told by its name', async () => {
    const odd = { readOnly: 'false', trimLog: 1, alone: null, onApplied: 'x', snapshots: '/x' };
    for (const [key, value] of Object.entries({ ...odd, 'codec.command': 'json' })) {
      const given = key === 'codec.command' ? { codec: { command: value } } : { [key]: value };
      await expect(start(given)).rejects.toMatchObject({
        ...refused,
        message: expect.stringContaining(`${key} is `),
      });
    }
  });

  test('no limit is one', async () => {
    const all = Object.fromEntries(numbers.map((it) => [it, Number.POSITIVE_INFINITY]));
    await using replica = await start(all);
    expect(await replica.execute(1, { timeoutMs: Number.POSITIVE_INFINITY })).toBe(1);
  });
});

describe('options of a call', () => {
  test('what is no request id is none that others have too', async () => {
    await using replica = await start({});
    for (const requestId of [null, 7, {}, '', new Uint8Array(1)] as string[])
      await expect(replica.execute(1, { requestId })).rejects.toMatchObject({
        ...refused,
        outcome: 'notAppended',
      });
    expect(await replica.query((it) => it.value)).toBe(0);
  });

  test('what is not of its kind is told by its name', async () => {
    await using replica = await start({});
    await expect(replica.execute(1, { whenFull: 'block' as 'wait' })).rejects.toThrow(/wait, fail/);
    await expect(replica.query('value' as never)).rejects.toThrow(/look is the text "value"/);
    expect(await replica.query((it) => it.value)).toBe(0);
  });

  test('one that is not known is refused, and those that are there are told', async () => {
    const snapshots = { save: async () => 0, load: async () => undefined };
    const replica = await start({ snapshots });
    // With a misspelt id the command would take effect again when it is repeated.
    const odd = { requestID: 'a' } as object;
    await expect(replica.execute(1, odd)).rejects.toThrow(
      /INVALID_ARGUMENT: there is no option "requestID" of execute; choose among requestId, /,
    );
    const late = { timeoutMS: 5 } as object;
    const calls: [string, () => Promise<unknown>][] = [
      ['query', () => replica.query((it) => it.value, { consistancy: 'stale' } as object)],
      ['caughtUp', () => replica.caughtUp(late)],
      ['upgradeTo', () => replica.upgradeTo(1, late)],
      ['snapshot', () => replica.snapshot(late)],
      ['changes', async () => replica.changes({ form: 1 } as object)],
      ['close', () => replica.close(late)],
    ];
    for (const [name, call] of calls)
      await expect(call()).rejects.toThrow(new RegExp(`no option "\\w+" of ${name}; choose among`));
    // It is closed all the same.
    await expect(replica.execute(1)).rejects.toMatchObject({ code: 'CLOSED' });
    await using shards = await startShards({
      machine: () => new Sum(),
      keyOf: () => 'a',
      logs: [new MemoryLog()],
    });
    await expect(shards.execute(1, odd)).rejects.toThrow(/no option "requestID" of execute/);
    expect(() => shards.changes({ form: [1] } as object)).toThrow(/no option "form" of changes/);
  });

  test('a time limit, and a position, is a number', async () => {
    await using replica = await start({});
    for (const value of NO_NUMBERS as number[]) {
      const limit = { timeoutMs: value };
      const calls = [
        replica.execute(1, limit),
        replica.caughtUp(limit),
        replica.query((it) => it.value, limit),
        replica.query((it) => it.value, { consistency: { atLeast: value } }),
        replica.upgradeTo(1, limit),
        replica.snapshot(limit),
      ];
      for (const call of calls) await expect(call).rejects.toMatchObject(refused);
    }
    for (const value of ['newest', '', 5, true, null, {}, []]) {
      const consistency = value as 'stale';
      await expect(replica.query((it) => it.value, { consistency })).rejects.toMatchObject({
        ...refused,
        message: expect.stringMatching(/^INVALID_ARGUMENT: consistency is .*linearizable.*atLeast/),
      });
    }
    expect(await replica.query((it) => it.value)).toBe(0);
  });
});

describe('what stands beside replicas', () => {
  const lock = { name: 'a', owner: 'b', locks: () => ({}), command: () => 1, result: () => ({}) };
  const log = new MemoryLog();
  const made: Record<string, (given: object) => unknown> = {
    Outbox: (it) => new Outbox(it),
    TransactionMachine: (it) => new TransactionMachine({ keptMs: 1, bytesMax: 1, ...it }),
    skipCommand: ({ position = 1, ...it }: { position?: number }) => skipCommand(log, position, it),
    upgradeRules: (it) => upgradeRules(log, 2, it),
    electLeader: (it) => electLeader({ replica: {}, ...lock, ...it } as never),
    runEffects: (it) =>
      runEffects({ replica: {}, outbox: () => 1, acknowledge: () => 1, ...it } as never, () => {}),
    transact: async (it) => {
      await using replica = await startReplica({
        machine: new TransactionMachine(),
        log: new MemoryLog(),
      });
      return await transactions(replica).transact(async () => {}, it);
    },
    changes: async (it) => {
      await using replica = await start({});
      return replica.changes(it);
    },
  };

  test.each<[string, string, readonly unknown[]]>([
    ['Outbox', 'countMax', NO_NUMBERS],
    ['TransactionMachine', 'keptMs', NO_NUMBERS],
    ['TransactionMachine', 'bytesMax', NO_NUMBERS],
    ['TransactionMachine', 'keepMs', [5]],
    ['skipCommand', 'position', [...NO_NUMBERS, 1.5]],
    ['skipCommand', 'timer', [...NO_NUMBERS, 1.5]],
    ['skipCommand', 'timeoutMs', NO_NUMBERS],
    ['skipCommand', 'machine', ['a']],
    ['upgradeRules', 'timeoutMs', NO_NUMBERS],
    ['upgradeRules', 'machine', ['a']],
    ['electLeader', 'ttlMs', NO_NUMBERS],
    ['electLeader', 'name', ['', 1, undefined]],
    ['electLeader', 'owner', ['', 1, undefined]],
    ['electLeader', 'locks', ['a', undefined]],
    ['electLeader', 'ttl', [5]],
    ['runEffects', 'outbox', ['a', undefined]],
    ['runEffects', 'acknowledge', ['a', undefined]],
    ['runEffects', 'election', [{}]],
    ['transact', 'attemptsMax', NO_NUMBERS],
    ['transact', 'backoff', ['a', 1, null]],
    ['transact', 'since', NO_NUMBERS],
    ['transact', 'timeoutMs', NO_NUMBERS],
    ['changes', 'signal', ['a', 1, null, {}]],
  ])('%s refuses a bad %s, and names it', async (call, option, values) => {
    for (const value of values) {
      const given = async () => made[call]!({ [option]: value });
      await expect(given()).rejects.toMatchObject({
        ...refused,
        message: expect.stringContaining(option),
      });
    }
  });
});
