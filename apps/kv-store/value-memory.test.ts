import { kvCodecs } from './codecs.ts';
import { keyOfText } from './key.ts';
import { KvMachine } from './machine.ts';
import { TimedLog } from './timed-log.fixture.ts';
import { copyOfValue, ownValue } from './value-memory.ts';

test('small values share memory with each other, and with nothing else', () => {
  const given = Buffer.from('0123456789'.repeat(10));
  const copies = Array.from({ length: 2_000 }, (_, i) => copyOfValue(given, i % 10));
  const whole = given.toString();
  given.fill(0);
  expect(copies.map((it) => Buffer.from(it).toString())).toEqual(
    copies.map((_, i) => whole.slice(i % 10)),
  );
  const pieces = new Set(copies.map(({ buffer }) => buffer));
  expect(pieces.size).toBeLessThan(6);
  expect(pieces).not.toContain(given.buffer);
  const large = copyOfValue(new Uint8Array(10_000));
  expect(large.buffer.byteLength).toBe(10_000);
});

test('a value in memory of its own is left as it is, and another one gets some', () => {
  const shared = copyOfValue(Uint8Array.of(1, 2));
  const own = ownValue(shared);
  expect(own).toEqual(shared);
  expect(own.buffer.byteLength).toBe(2);
  expect(ownValue(own)).toBe(own);
});

test('a value that outlives the changes beside it keeps none of their memory', () => {
  const machine = new KvMachine({ changesMax: 100 });
  const log = new TimedLog();
  let position = 0;
  const put = (key: string): void => {
    const command = { op: 'put' as const, key: keyOfText(key), value: Buffer.from(key) };
    const { decode, encode } = kvCodecs.command!;
    log.apply(machine, decode(encode(command)), ++position, 0);
  };
  const memoryOf = (key: string): number => machine.get(keyOfText(key))!.value.buffer.byteLength;
  put('cold');
  put('warm');
  for (let i = 0; i < 60; i++) put(i % 30 === 0 ? 'warm' : 'hot');
  expect(memoryOf('cold')).toBeGreaterThan(4);
  for (let i = 0; i < 300; i++) put('hot');
  expect(memoryOf('cold')).toBe(4);
  expect(memoryOf('warm')).toBe(4);
  expect(machine.get(keyOfText('cold'))).toMatchObject({ revision: 2, version: 1 });
});
