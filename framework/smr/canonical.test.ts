import fc from 'fast-check';
import { canonicalHash, hashOf } from './canonical.ts';
import { briefly, firstDifference } from './first-difference.ts';

/** Values that are often nearly equal. */
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(0, 1, -0, Number.NaN, 5n, 'a', '', null, undefined, true, '[', ','),
    fc.uint8Array({ maxLength: 2 }),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c d'), tie('value'), { maxKeys: 3 }),
    fc.array(tie('value'), { maxLength: 2 }).map((items) => new Set(items)),
  ),
})).value;

describe('what counts of a value', () => {
  test('two values have one hash exactly where they have no difference', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        const difference = firstDifference(a, b);
        expect(canonicalHash(a) === canonicalHash(b)).toBe(difference === undefined);
        expect(firstDifference(a, structuredClone(a))).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });

  test('what JSON makes of a value and back counts the same; the order of fields does not count', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const again = JSON.parse(JSON.stringify(value)) as unknown;
        expect(canonicalHash(again)).toBe(canonicalHash(value));
      }),
    );
    const time = new Date(5);
    expect(canonicalHash({ a: 1, b: [undefined], c: undefined, time })).toBe(
      canonicalHash({ time: '1970-01-01T00:00:00.005Z', b: [null], a: 1 }),
    );
    expect(canonicalHash(['ab'])).not.toBe(canonicalHash(['a', 'b']));
  });

  test('a difference is named by its place, and cut off where it is long', () => {
    const left = { sum: 3, accounts: [{ 'the owner': 'a' }, { 'the owner': 'b' }] };
    const right = { sum: 3, accounts: [{ 'the owner': 'a' }, { 'the owner': 'c' }] };
    const path = '$.accounts[1]["the owner"]';
    expect(firstDifference(left, right)).toEqual({ path, left: '"b"', right: '"c"' });
    expect(firstDifference([1], [1, 2n])).toEqual({ path: '$[1]', left: 'nothing', right: '"2n"' });
    expect(firstDifference({ a: 1 }, {})).toEqual({ path: '$.a', left: '1', right: 'nothing' });
    expect(firstDifference([], {})).toEqual({ path: '$', left: '[]', right: '{}' });
    expect(briefly('x'.repeat(1_000))).toHaveLength(121);
    expect(briefly([new Uint8Array([1, 255]), new Map([['a', 1n]])])).toBe(
      '["bytes 01ff",[["a","1n"]]]',
    );
    const circle: unknown[] = [];
    circle.push(circle);
    expect(briefly(circle)).toBe('');
  });

  test('the hash that a machine keeps itself stands for its state, and says so', () => {
    const snapshot = (): unknown => ({ value: 1 });
    expect(hashOf({ snapshot }, 2)).toMatch(/^snapshot 2:[0-9a-f]{64}$/);
    expect(hashOf({ snapshot, hash: () => 'mine' }, 1)).toMatch(/^hash 1:[0-9a-f]{64}$/);
  });
});
