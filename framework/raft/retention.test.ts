import fc from 'fast-check';
import { costOf, type EntryBatch, endOf } from './core/index.ts';
import { Retention } from './retention.ts';

const batch = fc.record({
  count: fc.integer({ min: 1, max: 5 }),
  bytes: fc.integer({ min: 0, max: 3_000 }),
});

describe('what is retained behind a snapshot', () => {
  test('is neither more entries than asked for, nor many more bytes, and as much as that allows', () => {
    fc.assert(
      fc.property(
        fc.array(batch, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 0, max: 30_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (shapes, entries, bytes, at) => {
          const retention = new Retention({ entries, bytes });
          const batches: EntryBatch[] = [];
          let index = 1;
          for (const shape of shapes) {
            const payload = new Uint8Array(shape.bytes);
            batches.push({ index, count: shape.count, term: 1, payload });
            retention.note(batches.at(-1)!);
            index += shape.count;
          }
          const position = endOf(batches[Math.floor(at * batches.length)]!);
          const base = retention.baseFor(position);
          expect(base).toBeGreaterThanOrEqual(position - entries);
          expect(base).toBeLessThanOrEqual(position);
          const kept = batches.filter((it) => endOf(it) > base && endOf(it) <= position);
          const keptBytes = kept.reduce((sum, it) => sum + costOf(it), 0);
          const slack = bytes / 2 + 2 * Math.max(...batches.map(costOf));
          expect(keptBytes).toBeLessThanOrEqual(bytes + slack);
          if (base > Math.max(0, position - entries)) {
            expect(keptBytes).toBeGreaterThanOrEqual(bytes - slack);
          }
        },
      ),
    );
  });

  test('follows a log that was cut', () => {
    const retention = new Retention({ entries: 1_000, bytes: 50_000 });
    const note = (index: number, bytes: number) =>
      retention.note({ index, count: 1, term: 1, payload: new Uint8Array(bytes) });
    for (let i = 1; i <= 10; i++) note(i, 100_000);
    for (let i = 2; i <= 20; i++) note(i, 10);
    expect(retention.baseFor(20)).toBeLessThanOrEqual(1);
  });
});
