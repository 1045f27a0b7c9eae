import { getHeapSpaceStatistics } from 'node:v8';
import fc from 'fast-check';
import { SequenceMap } from './sequence-map.ts';

const key = fc.oneof(fc.nat(20), fc.nat(3_000), fc.nat(2 ** 40));
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), key: fc.constant(0) }),
  fc.record({ kind: fc.constantFrom('set', 'delete', 'deleteBelow'), key }),
  fc.record({ kind: fc.constant('deleteFirst' as const), key: fc.constant(0) }),
);

test('holds what a map would hold, in the order of the keys', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
      const map = new SequenceMap<number | undefined>();
      const model = new Map<number, number | undefined>();
      let last = 0;
      for (const [i, { kind, key }] of steps.entries()) {
        const value = i % 7 === 0 ? undefined : i;
        if (kind === 'add') {
          expect(map.add(value)).toBe(++last);
          model.set(last, value);
        } else if (kind === 'set') {
          map.set(key, value);
          model.set(key, value);
          last = Math.max(last, key);
        } else if (kind === 'delete') {
          expect(map.delete(key)).toBe(model.delete(key));
        } else if (kind === 'deleteBelow') {
          map.deleteBelow(key);
          for (const known of model.keys()) if (known < key) model.delete(known);
        } else if (map.firstKey !== undefined) {
          expect(model.delete(map.firstKey)).toBe(true);
          map.delete(map.firstKey);
        }
        expect(map.has(key)).toBe(model.has(key));
        expect(map.get(key)).toBe(model.get(key));
        expect(map.size).toBe(model.size);
        expect(map.from(key).next().value?.[0]).toBe(
          [...model.keys()].filter((it) => it >= key).sort((a, b) => a - b)[0],
        );
      }
      const expected = [...model].sort(([a], [b]) => a - b);
      expect([...map]).toEqual(expected);
      expect([...map.values()]).toEqual(expected.map(([, value]) => value));
      expect(map.firstKey).toBe(expected[0]?.[0]);
      const middle = expected[expected.length >> 1]?.[0] ?? 0;
      expect([...map.from(middle)]).toEqual(expected.filter(([it]) => it >= middle));
    }),
  );
});

test('passes over what is removed while it is iterated over', () => {
  const map = new SequenceMap<string>();
  for (let i = 0; i < 1_000; i++) map.add(`value ${i}`);
  const seen: number[] = [];
  for (const [key] of map) {
    seen.push(key);
    map.delete(key);
    map.delete(1_001 - key);
  }
  expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  expect(map.size).toBe(0);
  for (const remove of ['clear', 'deleteBelow'] as const) {
    for (let i = 0; i < 1_000; i++) map.add('later');
    for (const [key] of map) {
      seen.push(key);
      map[remove](2 ** 50);
    }
    expect([...map]).toEqual([]);
  }
  expect(seen.slice(500)).toEqual([1_001, 2_001]);
  expect(map.add('behind all that were used')).toBe(3_001);
});

/** What outlived collections of the young generation while `work` ran 10,000 times with 64 new values each, in MiB. */
function promotedMiB(work: (values: number[][]) => void): number {
  let promoted = 0;
  const oldMiB = (): number => {
    const spaces = getHeapSpaceStatistics().filter((it) => it.space_name === 'old_space');
    return spaces[0]!.space_used_size / 2 ** 20;
  };
  for (let round = 0; round < 10_000; round++) {
    const before = oldMiB();
    work(Array.from({ length: 64 }, () => new Array<number>(50).fill(round)));
    promoted += Math.max(0, oldMiB() - before);
  }
  return promoted;
}

test('lets go of what was removed while it is young', () => {
  const plain = new Map<number, number[]>();
  let key = 0;
  const byMap = promotedMiB((values) => {
    const first = key;
    for (const value of values) plain.set(key++, value);
    for (let it = first; it < key; it++) plain.delete(it);
  });
  const sequence = new SequenceMap<number[]>();
  const bySequence = promotedMiB((values) => {
    const first = sequence.add(values[0]!);
    for (const value of values.slice(1)) sequence.add(value);
    for (let it = first; it < first + values.length; it++) sequence.delete(it);
  });
  expect(bySequence).toBeLessThan(byMap / 4);
});
