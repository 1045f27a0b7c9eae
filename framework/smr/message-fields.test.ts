import fc from 'fast-check';
import { Snapshot } from '../wire/gen/smr.ts';
import { wholeFields } from './message-fields.ts';

const message = fc
  .record({
    position: fc.maxSafeNat(),
    time: fc.double({ noNaN: true, min: 0 }),
    log: fc.string({ maxLength: 300 }),
    inPieces: fc.boolean(),
    skipped: fc.array(fc.maxSafeNat(), { maxLength: 40 }),
    timers: fc.array(
      fc.record({ id: fc.nat(), at: fc.double({ noNaN: true }), command: fc.uint8Array() }),
    ),
  })
  .map((it) => Snapshot.encode(Snapshot.create(it)));

async function* cut(whole: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < whole.length; i++) {
    const size = sizes[i % sizes.length]!;
    yield whole.subarray(at, at + size);
    at += size;
  }
}

async function piecesOf(whole: Uint8Array, sizes: readonly number[]): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of wholeFields(cut(whole, sizes))) pieces.push(piece);
  return pieces;
}

test('a message comes whole, each piece a message itself, however it is cut', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(message, sizes, async (whole, cuts) => {
      const pieces = await piecesOf(whole, cuts);
      expect(Buffer.compare(Buffer.concat(pieces), whole)).toBe(0);
      for (const piece of pieces) Snapshot.decode(piece);
    }),
  );
});

test('a field is given with what it came with, and not later', async () => {
  const timer = (id: number) => Snapshot.encode(Snapshot.create({ timers: [timerOf(id)] }));
  const timerOf = (id: number) => ({ id, at: 1, command: new Uint8Array(100) });
  const one = timer(1);
  const pieces = await piecesOf(Buffer.concat([one, timer(2), timer(3)]), [one.length]);
  expect(pieces.map((it) => Snapshot.decode(it).timers.map(({ id }) => id))).toEqual([
    [1],
    [2],
    [3],
  ]);
});

test('what is cut off, or is no field, is given as it is', async () => {
  const whole = Snapshot.encode(Snapshot.create({ log: 'a log', machine: 'a machine' }));
  const cutOff = await piecesOf(whole.subarray(0, whole.length - 1), [7]);
  expect(Buffer.concat(cutOff)).toHaveLength(whole.length - 1);
  expect(() => Snapshot.decode(cutOff.at(-1)!)).toThrow();
  const none = Buffer.concat([Buffer.from([0x0f]), whole]);
  const [piece, ...more] = await piecesOf(none, [3]);
  expect([more.length, Buffer.compare(piece!, none)]).toEqual([0, 0]);
});
