import { MemoryLog } from '../testing/memory-log.ts';
import { jsonCodec } from './codecs.ts';
import { startReplica } from './index.ts';
import type { StateMachine } from './state-machine.ts';

test('what cannot be encoded is named by its path', () => {
  const codec = jsonCodec<unknown>();
  expect(() => codec.encode({ total: [5n] })).toThrow(
    /INVALID_ARGUMENT: .* the bigint 5n at \$\.total\[0\] .*String\(value\).*codec/,
  );
  expect(() => codec.encode(() => 1)).toThrow(/INVALID_ARGUMENT: .*a function at \$/);
  const own = new Error('no idea');
  const odd = {
    toJSON: () => {
      throw own;
    },
  };
  expect(() => codec.encode(odd)).toThrow(/INVALID_ARGUMENT: .*no idea/);
  let deep: unknown[] = [];
  for (let depth = 0; depth < 100_000; depth++) deep = [deep];
  expect(() => codec.encode(deep)).toThrow(/INVALID_ARGUMENT: .*call stack/);
});

class Seen implements StateMachine<unknown, unknown, unknown[]> {
  seen: unknown[] = [];
  apply(command: unknown): unknown {
    this.seen.push(command);
    return null;
  }
  snapshot(): unknown[] {
    return this.seen;
  }
  restore(seen: unknown[]): void {
    this.seen = seen;
  }
}

test('a command of which JSON would leave nothing is refused before it is sent', async () => {
  await using replica = await startReplica({ machine: new Seen(), log: new MemoryLog() });
  const lost = [
    { to: new Map([[1, 2]]) },
    { at: [Number.NaN] },
    { key: new Uint8Array(2) },
    [new Set()],
  ];
  for (const command of lost) {
    await expect(replica.execute(command)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      outcome: 'notAppended',
      message: expect.stringMatching(/the command has .* at \$/),
    });
  }
  // What can be made again of its text is taken.
  await replica.execute({ at: new Date(0), left: undefined });
  expect(await replica.query((it) => it.seen)).toEqual([{ at: '1970-01-01T00:00:00.000Z' }]);
});

test('and is taken where a codec keeps it', async () => {
  const command = {
    encode: (it: Map<string, number>) => Buffer.from(JSON.stringify([...it])),
    decode: (it: Uint8Array) => new Map<string, number>(JSON.parse(Buffer.from(it).toString())),
  };
  const [machine, log] = [new Seen(), new MemoryLog()];
  await using replica = await startReplica({ machine, log, codec: { command } });
  await replica.execute(new Map([['a', 1]]));
  expect(await replica.query((it) => it.seen)).toEqual([new Map([['a', 1]])]);
});
