import fc from 'fast-check';
import { checkBatch, decodeBatch, encodeBatch } from './batch.ts';

const records = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 50 });

describe('batch', () => {
  test('gives back the records it was made of', () => {
    fc.assert(
      fc.property(records, (given) => {
        const batch = encodeBatch(given);
        expect(decodeBatch(batch).map((it) => [...it])).toEqual(given.map((it) => [...it]));
        expect(checkBatch(batch)).toBe(Math.max(...given.map((it) => it.length)));
      }),
    );
  });

  test('a count or a length that does not add up is found by both readers', () => {
    fc.assert(
      fc.property(records, fc.integer({ min: -3, max: 3 }), (given, off) => {
        fc.pre(off !== 0 && given.length + off > 0);
        const { bytes, count } = encodeBatch(given);
        const wrong = [{ bytes, count: count + off }];
        if (off < 0) wrong.push({ bytes: bytes.subarray(0, bytes.length + off), count });
        for (const batch of wrong) {
          expect(() => decodeBatch(batch)).toThrow(/CORRUPT/);
          expect(() => checkBatch(batch)).toThrow(/CORRUPT/);
        }
      }),
    );
  });
});
