import fc from 'fast-check';
import { SeededRandom } from '../testing/simulator/random.ts';
import { type MapView, type VersionedKey, VersionedMap } from './versioned-map.ts';

type Step<K> =
  | { readonly set: K; readonly to: number }
  | { readonly delete: K }
  | { readonly fill: readonly [from: number, count: number] }
  | { readonly empty: readonly [from: number, count: number] }
  | { readonly clear: true }
  | { readonly view: true };

const stretch = fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 300 }));

function stepsOn<K extends VersionedKey>(key: fc.Arbitrary<K>): fc.Arbitrary<Step<K>[]> {
  const step = fc.oneof(
    { weight: 60, arbitrary: fc.record({ set: key, to: fc.nat() }) },
    { weight: 30, arbitrary: fc.record({ delete: key }) },
    { weight: 10, arbitrary: fc.constant({ view: true } as const) },
    { weight: 5, arbitrary: fc.record({ fill: stretch }) },
    { weight: 5, arbitrary: fc.record({ empty: stretch }) },
    { weight: 1, arbitrary: fc.constant({ clear: true } as const) },
  );
  return fc.array(step, { maxLength: 300, size: 'max' });
}

const inOrder = <K extends VersionedKey>(of: Iterable<[K, number]>): [K, number][] =>
  [...of].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

/** All that is to be seen of a map: size, entries in order, and what it says of these keys. */
const seen = <K extends VersionedKey>(
  it: Pick<Map<K, number>, 'size' | 'get' | 'has'>,
  entries: Iterable<[K, number]>,
  keys: Iterable<K>,
): string =>
  JSON.stringify([it.size, [...entries], Array.from(keys, (key) => [it.get(key), it.has(key)])]);

const numbersFrom = ([from, count]: readonly [number, number]): number[] =>
  Array.from({ length: count }, (_, i) => from + i);

/**
 * Does the same to a plain map, and compares the two, and every view with what the plain map was. `at`: the key of that
 * number.
 */
function compare<K extends VersionedKey>(
  steps: readonly Step<K>[],
  at: (number: number) => K,
): void {
  const map = new VersionedMap<K, number>();
  const plain = new Map<K, number>();
  const views: { view: MapView<K, number>; was: Map<K, number> }[] = [];
  const deleted: boolean[] = [];
  for (const step of steps) {
    if ('set' in step) {
      map.set(step.set, step.to);
      plain.set(step.set, step.to);
    } else if ('delete' in step) {
      deleted.push(map.delete(step.delete) === plain.delete(step.delete));
    } else if ('fill' in step) {
      for (const it of numbersFrom(step.fill)) {
        map.set(at(it), it);
        plain.set(at(it), it);
      }
    } else if ('empty' in step) {
      for (const it of numbersFrom(step.empty))
        deleted.push(map.delete(at(it)) === plain.delete(at(it)));
    } else if ('clear' in step) {
      map.clear();
      plain.clear();
    } else views.push({ view: map.snapshot(), was: new Map(plain) });
  }
  expect(deleted.every((it) => it)).toBe(true);
  const keys = [...plain.keys()];
  expect(seen(map, map, keys)).toBe(seen(plain, inOrder(plain), keys));
  for (const { view, was } of views)
    expect(seen(view, view, keys)).toBe(seen(was, inOrder(was), keys));
}

test('is a map, and each view stays what the map was', () => {
  const numbers = stepsOn(fc.nat({ max: 700 }));
  fc.assert(
    fc.property(numbers, (it) => compare(it, (number) => number)),
    { numRuns: 40 },
  );
  const texts = stepsOn(fc.string({ maxLength: 2 }));
  fc.assert(
    fc.property(texts, (it) => compare(it, (number) => number.toString(36))),
    { numRuns: 20 },
  );
});

/** The same steps, each at one of several maps: `fork` makes one more, out of that. */
function compareForks(
  steps: readonly { readonly at: number; readonly step: Step<number> }[],
): void {
  const maps = [{ map: new VersionedMap<number, number>(), plain: new Map<number, number>() }];
  for (const { at, step } of steps) {
    const { map, plain } = maps[at % maps.length]!;
    if ('set' in step) {
      map.set(step.set, step.to);
      plain.set(step.set, step.to);
    } else if ('delete' in step) {
      expect(map.delete(step.delete)).toBe(plain.delete(step.delete));
    } else if ('fill' in step) {
      for (const it of numbersFrom(step.fill)) {
        map.set(it, at);
        plain.set(it, at);
      }
    } else if ('empty' in step) {
      for (const it of numbersFrom(step.empty)) expect(map.delete(it)).toBe(plain.delete(it));
    } else if ('clear' in step) {
      map.clear();
      plain.clear();
    } else maps.push({ map: map.fork(), plain: new Map(plain) });
  }
  for (const { map, plain } of maps) {
    const keys = [...plain.keys()];
    expect(seen(map, map, keys)).toBe(seen(plain, inOrder(plain), keys));
  }
}

test('a fork is another map: whatever is done to one, and to forks of it, the others do not see it', () => {
  const steps = stepsOn(fc.nat({ max: 700 })).chain((all) =>
    fc.tuple(...all.map((step) => fc.record({ at: fc.nat({ max: 20 }), step: fc.constant(step) }))),
  );
  fc.assert(fc.property(steps, compareForks), { numRuns: 40 });
});

test('a fork costs nothing, and a write after it, on either side, copies no more than its path', () => {
  const map = new VersionedMap(Array.from({ length: 100_000 }, (_, i) => [i, i] as const));
  const slice = jest.spyOn(Array.prototype, 'slice');
  const fork = map.fork();
  expect(slice).not.toHaveBeenCalled();
  for (const it of [map, fork]) it.set(50_000, 0).set(50_000, 1);
  const copied = slice.mock.results.map((it) => (it.value as unknown[]).length);
  slice.mockRestore();
  expect(copied.length).toBeLessThanOrEqual(16);
  expect(Math.max(...copied)).toBeLessThanOrEqual(64);
});

test('large ones too, filled and emptied in any order', () => {
  for (const seed of [1, 2, 3, 4]) {
    const random = new SeededRandom(seed);
    const drawn = new Set(Array.from({ length: 9_000 }, () => random.below(20_000)));
    const sorted = [...drawn].sort((a, b) => a - b);
    const keys = seed === 1 ? sorted : seed === 2 ? sorted.toReversed() : [...drawn];
    const map = new VersionedMap(keys.map((it) => [it, it] as const));
    const full = map.snapshot();
    const kept = new Set(keys.slice(0, random.below(keys.length)));
    for (const it of keys.toReversed()) if (!kept.has(it)) map.delete(it);
    const numbers = (of: Iterable<[number, number]>): string => Array.from(of, ([it]) => it).join();
    expect(numbers(map)).toBe([...kept].sort((a, b) => a - b).join());
    expect(numbers(full)).toBe(sorted.join());
    for (const it of kept) map.delete(it);
    expect([map.size, [...map]]).toEqual([0, []]);
  }
});

test('a range is what lies between two keys, in both directions of an edge', () => {
  const keys = fc.uniqueArray(fc.nat({ max: 500 }), { maxLength: 300, size: 'max' });
  const edge = fc.option(fc.integer({ min: -1, max: 501 }), { nil: undefined });
  fc.assert(
    fc.property(keys, edge, edge, (all, from, to) => {
      const map = new VersionedMap(all.map((it) => [it, `${it}`] as const));
      const range = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
      const expected = all
        .filter((it) => it >= (from ?? -1) && it < (to ?? 1_000))
        .sort((a, b) => a - b);
      expect([...map.range(range)].map(([it]) => it)).toEqual(expected);
      expect([...map.snapshot().range(range)].map(([, it]) => it)).toEqual(expected.map(String));
    }),
  );
});

test('may be changed while it is read', () => {
  const map = new VersionedMap(Array.from({ length: 1_000 }, (_, i) => [i, i] as const));
  const seen: number[] = [];
  for (const [key] of map) {
    seen.push(key);
    map.delete(key);
    map.set(2_000 + key, key);
  }
  expect(seen).toHaveLength(1_000);
  expect(map.size).toBe(1_000);
});

test('a view costs nothing, and a write after it copies no more than its path', () => {
  const map = new VersionedMap(Array.from({ length: 100_000 }, (_, i) => [i, i] as const));
  const slice = jest.spyOn(Array.prototype, 'slice');
  const view = map.snapshot();
  expect(slice).not.toHaveBeenCalled();
  map.set(50_000, 0);
  map.set(50_000, 1);
  const copied = slice.mock.results.map((it) => (it.value as unknown[]).length);
  slice.mockRestore();
  expect(view.get(50_000)).toBe(50_000);
  // Keys and values of a leaf, keys and children of each branch above it.
  expect(copied.length).toBeLessThanOrEqual(8);
  expect(Math.max(...copied)).toBeLessThanOrEqual(64);
});

test('keys without a place in the order are refused, and nothing changes', () => {
  const map = new VersionedMap<VersionedKey, number>([['a', 1]]);
  const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
  expect(() => map.set(1, 1)).toThrow(refused);
  expect([...map]).toEqual([['a', 1]]);
  expect(() => new VersionedMap<number, number>([[Number.NaN, 1]])).toThrow(refused);
  expect(() => map.fork().set(1, 1)).toThrow(refused);
  map.clear();
  expect(map.set(1, 1).get(1)).toBe(1);
  expect(map.get(-0)).toBeUndefined();
  expect(map.set(0, 2).get(-0)).toBe(2);
  // What is refused decides nothing about those that come.
  const empty = new VersionedMap<VersionedKey, number>();
  for (const key of [Number.NaN, null, undefined, {}, 1n, true] as VersionedKey[])
    expect(() => empty.set(key, 1)).toThrow(refused);
  expect([...empty.set('a', 1)]).toEqual([['a', 1]]);
});
