import fc from 'fast-check';
import {
  atomicOf,
  attributesOf,
  checkBatch,
  decodeBatch,
  encodeBatch,
  producerOf,
  sliceBatch,
} from './batch.ts';
import type { BatchAttributes, Headers } from './batch-header.ts';

const records = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 50 });

const headers: fc.Arbitrary<Headers> = fc.array(
  fc.tuple(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.uint8Array({ maxLength: 200 })),
  { minLength: 1, maxLength: 3 },
);
const producer = fc.record({
  id: fc.maxSafeNat(),
  epoch: fc.nat(2 ** 32 - 1),
  sequence: fc.maxSafeNat().map((it) => Math.max(0, it - 1_000)),
});
const atomic = fc.record({
  id: fc.maxSafeNat(),
  logStreams: fc
    .uniqueArray(fc.integer({ min: 1, max: 2 ** 31 - 1 }), { minLength: 2, maxLength: 5 })
    .map((it) => it.sort((a, b) => a - b)),
});
/** Records and what is said of them; sometimes nothing. */
const described = records.chain((given) =>
  fc.record({
    given: fc.constant(given),
    attributes: fc
      .record(
        {
          producer,
          headers,
          atomic,
          recordHeaders: fc.dictionary(fc.nat(given.length - 1).map(String), headers, {
            minKeys: 1,
          }),
        },
        { requiredKeys: [] },
      )
      .map(({ recordHeaders, ...rest }): BatchAttributes => {
        if (recordHeaders === undefined) return rest;
        const byIndex = Object.entries(recordHeaders).map(([i, it]) => [Number(i), it] as const);
        return { ...rest, recordHeaders: new Map(byIndex) };
      }),
  }),
);

const plain = (given: readonly Uint8Array[]): number[][] => given.map((it) => [...it]);
const listed = (list: Headers = []): unknown[] => list.map(([name, value]) => [name, [...value]]);
/** Attributes as values that can be compared; lists of nothing are left out. */
const shown = ({
  producer: by,
  headers: all,
  recordHeaders,
  atomic,
}: BatchAttributes): unknown => ({
  by,
  atomic,
  all: listed(all),
  single: [...(recordHeaders ?? [])].sort(([a], [b]) => a - b).map(([i, it]) => [i, listed(it)]),
});

describe('batch', () => {
  test('gives back the records it was made of, and what was said of them', () => {
    fc.assert(
      fc.property(described, ({ given, attributes }) => {
        const batch = encodeBatch(given, attributes);
        expect(plain(decodeBatch(batch))).toEqual(plain(given));
        expect(checkBatch(batch)).toBe(Math.max(...given.map((it) => it.length)));
        expect(shown(attributesOf(batch))).toEqual(shown(attributes));
        expect(producerOf(batch)).toEqual(attributes.producer);
      }),
    );
  });

  test('costs nothing but the lengths of its records when there is nothing to say', () => {
    fc.assert(
      fc.property(records, (given) => {
        const size = given.reduce((sum, it) => sum + 4 + it.length, 0);
        const nothing = { headers: [], recordHeaders: new Map([[0, []]]) };
        expect(encodeBatch(given).bytes).toHaveLength(size);
        expect(encodeBatch(given, nothing).bytes).toEqual(encodeBatch(given).bytes);
      }),
    );
  });

  test('a part of it is a batch of these records, with what was said of them', () => {
    fc.assert(
      fc.property(described, fc.nat(), fc.nat(), ({ given, attributes }, from, length) => {
        const skip = from % given.length;
        const count = 1 + (length % (given.length - skip));
        const part = sliceBatch(encodeBatch(given, attributes), skip, count);
        expect(part.count).toBe(count);
        expect(plain(decodeBatch(part))).toEqual(plain(given.slice(skip, skip + count)));
        const kept = [...(attributes.recordHeaders ?? [])]
          .map(([i, it]) => [i - skip, it] as const)
          .filter(([i]) => i >= 0 && i < count);
        const { atomic: _, ...others } = attributes;
        const by = attributes.producer;
        expect(shown(attributesOf(part))).toEqual(
          shown({
            ...(count === given.length ? attributes : others),
            recordHeaders: new Map(kept),
            ...(by === undefined ? {} : { producer: { ...by, sequence: by.sequence + skip } }),
          }),
        );
      }),
    );
  });

  test('a count or a length that does not add up is found by both readers', () => {
    fc.assert(
      fc.property(described, fc.integer({ min: -3, max: 3 }), ({ given, attributes }, off) => {
        fc.pre(off !== 0 && given.length + off > 0);
        const { bytes, count } = encodeBatch(given, attributes);
        const wrong = [{ bytes, count: count + off }];
        if (off < 0) wrong.push({ bytes: bytes.subarray(0, bytes.length + off), count });
        for (const batch of wrong) {
          expect(() => decodeBatch(batch)).toThrow(/CORRUPT/);
          expect(() => checkBatch(batch)).toThrow(/CORRUPT/);
        }
      }),
    );
  });

  test('whatever bytes come, what is checked can be read', () => {
    const change = fc.record({ at: fc.nat(), to: fc.nat(255) });
    fc.assert(
      fc.property(
        described,
        fc.array(change, { maxLength: 3 }),
        ({ given, attributes }, changes) => {
          const { bytes, count } = encodeBatch(given, attributes);
          for (const { at, to } of changes) bytes[at % Math.min(bytes.length, 80)] = to;
          const batch = { bytes, count };
          try {
            checkBatch(batch);
          } catch (error) {
            expect(error).toMatchObject({
              code: expect.stringMatching(/^(CORRUPT|FORMAT_UNKNOWN)$/),
            });
            return;
          }
          expect(decodeBatch(batch)).toHaveLength(count);
          attributesOf(batch);
          producerOf(batch);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ['version', 0, 2],
    ['version', 0, 0],
    ['flag', 1, 3],
    ['flag', 1, 0x80],
  ])('one with an unknown %s is refused by all readers', (what, at, value) => {
    const batch = encodeBatch([new Uint8Array(3)], { headers: [['a', new Uint8Array(1)]] });
    batch.bytes[at] = value;
    for (const read of [decodeBatch, checkBatch, attributesOf, producerOf]) {
      expect(() => read(batch)).toThrow(new RegExp(`FORMAT_UNKNOWN: a batch has ${what}`));
    }
  });

  test('a hint that is not known is passed over, with the part that it stands for', () => {
    const { bytes, count } = encodeBatch([new Uint8Array(3)], {
      headers: [['a', new Uint8Array(1)]],
    });
    const later = new Uint8Array(bytes.length + 5);
    const start = new DataView(bytes.buffer).getUint32(4, true);
    later.set(bytes.subarray(0, start));
    later.set(bytes.subarray(start), start + 5);
    later[2]! |= 0x80;
    new DataView(later.buffer).setUint32(4, start + 5, true);
    expect(checkBatch({ bytes: later, count })).toBe(3);
    expect(plain(decodeBatch({ bytes: later, count }))).toEqual([[0, 0, 0]]);
    expect(shown(attributesOf({ bytes: later, count }))).toEqual(
      shown({ headers: [['a', new Uint8Array(1)]] }),
    );
  });

  test.each<[string, BatchAttributes]>([
    ['a negative id', { producer: { id: -1, epoch: 1, sequence: 1 } }],
    ['an epoch that is too large', { producer: { id: 1, epoch: 2 ** 32, sequence: 1 } }],
    ['half a sequence', { producer: { id: 1, epoch: 1, sequence: 0.5 } }],
    ['headers of no record', { recordHeaders: new Map([[1, [['a', new Uint8Array(0)]]]]) }],
  ])('%s cannot be written', (_, attributes) => {
    expect(() => encodeBatch([new Uint8Array(1)], attributes)).toThrow(/INVALID_ARGUMENT/);
  });
});

test('a part of an atomic append is written as it is documented', () => {
  const atomic = { id: 2 ** 32 + 5, logStreams: [3, 7, 1_000] };
  const batch = encodeBatch([Uint8Array.of(9)], { atomic });
  expect([...batch.bytes]).toEqual([
    ...[1, 0, 4, 0xb1, 21, 0, 0, 0],
    ...[5, 0, 0, 0, 1, 0, 0, 0, 3, 3, 4, 0xe1, 0x07],
    ...[1, 0, 0, 0, 9],
  ]);
  expect(atomicOf(batch)).toEqual(atomic);
  expect(atomicOf(encodeBatch([Uint8Array.of(9)], { headers: [['a', Uint8Array.of()]] }))).toBe(
    undefined,
  );
  for (const logStreams of [[1], [2, 1], [1, 1], [0, 1], [1, 2 ** 31], [1, 1.5]]) {
    expect(() => encodeBatch([Uint8Array.of(9)], { atomic: { id: 1, logStreams } })).toThrow(
      /INVALID_ARGUMENT/,
    );
  }
});
