import fc from 'fast-check';
import { SortedMap } from './sorted-map.ts';

/** Few enough that they meet, and many enough for many blocks. */
const key = fc.nat(6_000).map((it) => it.toString(36).padStart(3, '0'));
const change = fc.record({
  /** Keys that count up from one, as many applications have them, or a single one. */
  begin: key,
  length: fc.oneof(fc.constant(1), fc.nat(900)),
  kind: fc.constantFrom('set', 'set', 'delete'),
});

test('is a map in the order of its keys, whatever is read of it', () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 30, size: 'max' }),
      fc.array(fc.tuple(key, fc.option(key, { nil: undefined })), { maxLength: 10 }),
      (changes, ranges) => {
        const sorted = new SortedMap<string>();
        const plain = new Map<string, string>();
        changes.forEach(({ begin, length, kind }, i) => {
          const first = Number.parseInt(begin, 36);
          for (let at = first; at < first + length; at++) {
            const name = at.toString(36).padStart(3, '0');
            if (kind === 'delete') expect(sorted.delete(name)).toBe(plain.delete(name));
            else {
              sorted.set(name, `${name}-${i}`);
              plain.set(name, `${name}-${i}`);
            }
          }
        });
        expect(sorted.size).toBe(plain.size);
        const inOrder = [...plain].sort(([a], [b]) => (a < b ? -1 : 1));
        for (const [from, to] of [['', undefined] as const, ...ranges]) {
          const expected = inOrder.filter(
            ([name]) => name >= from && (to === undefined || name < to),
          );
          expect([...sorted.range(from, to)]).toEqual(expected.map(([, value]) => value));
          expect(sorted.count(from, to)).toBe(expected.length);
        }
      },
    ),
    { numRuns: 30 },
  );
});
