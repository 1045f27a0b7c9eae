import { Readable } from 'node:stream';
import { MemoryLog } from '../testing/index.ts';
import {
  inPieces,
  jsonCodec,
  type MachineDefinition,
  type Pieces,
  replay,
  type SnapshotStore,
  type StateMachine,
  startReplica,
  why,
} from './index.ts';

class Counter implements StateMachine<{ add: number }, number, { value: number }> {
  value = 0;
  apply({ add }: { add: number }): number {
    this.value += add;
    return this.value;
  }
  snapshot(): { value: number } {
    return { value: this.value };
  }
  restore({ value }: { value: number }): void {
    this.value = value;
  }
}

class Users {
  readonly users = new Map<string, number>();
  apply(name: string): number {
    this.users.set(name, 1);
    return this.users.size;
  }
  snapshot(): unknown {
    return { users: this.users };
  }
  restore(): void {}
}

type Definition = MachineDefinition<{ add: number }, number, { value: number }>;
const counter: Definition = { make: () => new Counter() };

const NO_MACHINES: readonly [string, unknown, RegExp][] = [
  ['nothing', undefined, /./],
  ['a class', Counter, /class Counter;.*new Counter\(\)/],
  ['a promise', Promise.resolve(new Counter()), /a promise/],
  ...['apply', 'snapshot', 'restore'].map((method): [string, unknown, RegExp] => [
    `one without ${method}`,
    Object.assign(new Counter(), { [method]: undefined }),
    new RegExp(`the machine Counter has no method \`${method}\`; give it \`${method}\\(`),
  ]),
  [
    'one whose snapshot has a Map',
    new Users(),
    /machine Users has a Map at \$\.users.*\[\.\.\.map/,
  ],
];

describe.each(NO_MACHINES)('%s is no machine', (_, machine, says) => {
  const refused = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(says) };
  const definition = { make: () => machine } as MachineDefinition;

  test('for a replica', async () => {
    const started = startReplica({ machine: machine as Counter, log: new MemoryLog() });
    await expect(started).rejects.toMatchObject(refused);
  });

  test('for a replay, on either side', async () => {
    const log = new MemoryLog();
    for (const pair of [
      { machine: definition, against: counter },
      { machine: counter, against: definition },
    ])
      await expect(replay({ log, ...pair })).rejects.toMatchObject(refused);
    await expect(why({ log, machine: definition, key: 'a' }).next()).rejects.toMatchObject(refused);
  });
});

test('a Map is for a codec of its own, and pieces are looked at one by one', async () => {
  const json = jsonCodec<unknown>();
  const snapshot = { ...json, encode: () => json.encode({}) };
  await using users = await startReplica({
    machine: new Users(),
    codec: { snapshot },
    log: new MemoryLog(),
  });
  expect(await users.execute('ann')).toBe(1);
  class InPieces extends Users {
    override snapshot(): Pieces<unknown> {
      return inPieces([['ann', new Set()]]);
    }
  }
  const pieces = startReplica({ machine: new InPieces(), log: new MemoryLog() });
  await expect(pieces).rejects.toThrow(/machine InPieces has a Set at \$\[0\]\[1\]/);
});

test('a machine is that of one replica, and new where that has no snapshot', async () => {
  const [log, machine] = [new MemoryLog(), new Counter()];
  const first = await startReplica({ machine, log });
  await expect(startReplica({ machine, log: new MemoryLog() })).rejects.toThrow(
    /INVALID_ARGUMENT: .*another replica has.*of its own/,
  );
  expect(await first.execute({ add: 1 })).toBe(1);
  await first.close();
  await expect(startReplica({ machine, log })).rejects.toThrow(/state that it had.*a new machine/);
  // What did not start has it no more.
  const snapshots = { load: async () => undefined, save: async (it: number) => it };
  const failing = { ...snapshots, lock: () => Promise.reject(new Error('in use')) };
  const fresh = new Counter();
  const started = startReplica({ machine: fresh, log, snapshots: failing });
  await expect(started).rejects.toThrow('in use');
  await using second = await startReplica({ machine: fresh, log, snapshots });
  expect(await second.execute({ add: 1 })).toBe(2);
});

test('a replica whose lock cannot be let go of lets go of its machine all the same', async () => {
  const machine = new Counter();
  const snapshots = {
    load: async () => undefined,
    save: async (it: number) => it,
    lock: async () => ({ release: () => Promise.reject(new Error('the disk is gone')) }),
  };
  const replica = await startReplica({ machine, log: new MemoryLog(), snapshots });
  await replica.close();
  await using again = await startReplica({ machine, log: new MemoryLog() });
  expect(await again.execute({ add: 1 })).toBe(1);
});

test('a machine goes on where a snapshot is restored into it', async () => {
  const [log, machine] = [new MemoryLog(), new Counter()];
  let kept: { position: number; chunks: Buffer[] } | undefined;
  const snapshots: SnapshotStore = {
    load: async () => kept && { position: kept.position, chunks: Readable.from(kept.chunks) },
    save: async (position, chunks) => {
      kept = { position, chunks: [] };
      for await (const chunk of chunks) kept.chunks.push(Buffer.from(chunk));
      return position;
    },
  };
  const first = await startReplica({ machine, log, snapshots });
  await first.execute({ add: 1 });
  await first.close({ snapshot: true });
  await using again = await startReplica({ machine, log, snapshots });
  expect(await again.execute({ add: 1 })).toBe(2);
});

test('a codec that makes no bytes is found at the first command', async () => {
  const text = { encode: JSON.stringify, decode: JSON.parse } as never;
  const log = new MemoryLog();
  await using replica = await startReplica({
    machine: new Counter(),
    log,
    codec: { command: text },
  });
  await expect(replica.execute({ add: 1 })).rejects.toThrow(
    /INVALID_ARGUMENT: a codec encoded a value to the text "\{.*Buffer\.from/,
  );
  await using other = await startReplica({
    machine: new Counter(),
    log: new MemoryLog(),
    codec: { result: text },
  });
  await expect(other.execute({ add: 1 })).rejects.toThrow(/gave no bytes/);
});

test('what is no log, or will be one later, is refused', async () => {
  const odd = [undefined, 'varlog://a:1/1', new MemoryLog().records(), Promise.resolve()];
  for (const log of odd as readonly unknown[] as MemoryLog[]) {
    const refused = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('the log is ') };
    await expect(startReplica({ machine: new Counter(), log })).rejects.toMatchObject(refused);
    await expect(replay({ log, machine: counter, against: counter })).rejects.toMatchObject(
      refused,
    );
  }
});

test('what defines no machine is refused, and says what would', async () => {
  const log = new MemoryLog();
  const told = async (machine: unknown, says: RegExp): Promise<void> => {
    const replayed = replay({ log, machine: machine as Definition, against: counter });
    await expect(replayed).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(says),
    });
  };
  await told(new Counter(), /`machine` is an object \(Counter\).*make: \(\) => new MyMachine/);
  await told(Counter, /`machine` is the function Counter/);
  await told({ make: Counter }, /`make` is the class Counter; .*\(\) => new Counter\(\)/);
  await told(
    { ...counter, codecs: {} },
    /no option "codecs" of the definition .*make, name, codec/,
  );
  await told({ ...counter, codec: { command: 5 } }, /codec\.command is 5/);
  const one = new Counter();
  const same = { make: () => one };
  await expect(replay({ log, machine: same, against: same })).rejects.toThrow(
    /another replica has/,
  );
});

test('options of a replay are known by name and kind', async () => {
  const both = { log: new MemoryLog(), machine: counter, against: counter };
  for (const odd of [{ stateEvry: 5 }, { stateEvery: 0 }, { to: 'tail' }, { to: 1.5 }])
    await expect(replay({ ...both, ...(odd as object) })).rejects.toThrow(
      /INVALID_ARGUMENT: .*(stateEv|to is)/,
    );
  const { against: _, ...one } = both;
  await expect(
    why({ ...one, keys: 'a', key: 'a' } as typeof one & { key: string }).next(),
  ).rejects.toThrow(/no option "keys" of why/);
  await expect(why(one as typeof one & { key: string }).next()).rejects.toThrow(
    /the key is missing/,
  );
});
