import { jsonLosses } from './json-loss.ts';

class Account {
  balance = 1;
}
class Hidden {
  readonly #balance = 1;
  get balance(): number {
    return this.#balance;
  }
}
class Money {
  toJSON(): unknown {
    return { cents: 5 };
  }
}
const circle: Record<string, unknown> = {};
circle['inner'] = [circle];

test.each<[string, unknown, path: string, is: RegExp]>([
  ['a Map', { users: new Map() }, '$.users', /^a Map$/],
  ['a Set', [0, new Set([1])], '$[1]', /^a Set$/],
  ['a bigint', { a: { 'b c': 5n } }, '$.a["b c"]', /^the bigint 5n$/],
  ['NaN', { mean: Number.NaN }, '$.mean', /^NaN$/],
  ['Infinity', { least: Number.POSITIVE_INFINITY }, '$.least', /^Infinity$/],
  ['bytes', { key: new Uint8Array(2) }, '$.key', /^bytes$/],
  ['a promise', Promise.resolve(), '$', /^a promise$/],
  ['a function', () => 1, '$', /^a function$/],
  ['an instance that shows nothing', [new Hidden()], '$[0]', /instance of Hidden, with no field/],
  ['a pattern', { by: /x/ }, '$.by', /instance of RegExp/],
  ['a circle', circle, '$.inner[0]', /itself part of/],
  ['what toJSON returns', { toJSON: () => ({ a: 1n }) }, '$.a', /bigint/],
])('%s is lost in JSON', (_, value, path, is) => {
  expect(jsonLosses(value).lost).toMatchObject({ path, is: expect.stringMatching(is) });
});

test.each<[string, unknown, path: string, is: string]>([
  ['a Date', { at: new Date(5) }, '$.at', 'a Date'],
  ['an instance', [new Account()], '$[0]', 'an instance of Account'],
  ['a Buffer', { key: Buffer.from('a') }, '$.key', 'a Buffer'],
  ['undefined in a list', [1, undefined], '$[1]', 'undefined'],
])('%s is another thing behind JSON, and can be made again', (_, value, path, is) => {
  const { lost, altered } = jsonLosses(value);
  expect(lost).toBeUndefined();
  expect(altered).toMatchObject({ path, is });
});

test('plain data, and what says what JSON is to make of it, is kept', () => {
  const shared = { a: 1 };
  const plain = [null, 'x', 1.5, true, [], {}, Object.create(null), [shared, shared]];
  for (const value of [...plain, undefined, { left: undefined }, new Money(), structuredClone({})])
    expect(jsonLosses(value)).toEqual({});
});
