import fc from 'fast-check';
import { underRules, versionOf } from './codecs.ts';
import { jsonCodec, versionedJson } from './index.ts';

interface First {
  add: number;
}
interface Second {
  add: number;
  by: string;
}
interface Third {
  amount: number;
  by: { name: string };
}

const toSecond = (old: First): Second => ({ ...old, by: 'nobody' });
const toThird = ({ add, by }: Second): Third => ({ amount: add, by: { name: by } });
const first = versionedJson<[First]>({ upcast: {} });
const second = versionedJson<[First, Second]>({ upcast: { 1: toSecond } });
const third = versionedJson<[First, Second, Third]>({ upcast: { 1: toSecond, 2: toThird } });

describe('JSON in versions', () => {
  test('a chain of upcasters makes of each shape what direct conversion makes of it', () => {
    fc.assert(
      fc.property(fc.integer(), fc.string(), (add, by) => {
        const newest = { amount: add, by: { name: by } };
        expect(third.decode(jsonCodec<First>().encode({ add }))).toEqual(
          toThird(toSecond({ add })),
        );
        expect(third.decode(first.encode({ add }))).toEqual(toThird(toSecond({ add })));
        expect(second.decode(first.encode({ add }))).toEqual(toSecond({ add }));
        expect(third.decode(second.encode({ add, by }))).toEqual(newest);
        expect(third.decode(third.encode(newest))).toEqual(newest);
      }),
    );
  });

  test('before the rules say so it writes what older code can read', () => {
    const stepwise = versionedJson<[First, Second, Third]>({
      upcast: { 1: toSecond, 2: toThird },
      downcast: {
        1: { before: 2, of: ({ add }) => ({ add }) },
        2: { before: 3, of: ({ amount, by }) => ({ add: amount, by: by.name }) },
      },
    });
    const value: Third = { amount: 1, by: { name: 'a' } };
    expect(first.decode(stepwise.encodeUnder(value, 1))).toEqual({ add: 1 });
    expect(second.decode(stepwise.encodeUnder(value, 2))).toEqual({ add: 1, by: 'a' });
    expect(() => first.decode(stepwise.encodeUnder(value, 2))).toThrow(/FORMAT_UNKNOWN/);
    expect(third.decode(stepwise.encodeUnder(value, 3))).toEqual(value);
    expect(stepwise.encode(value)).toEqual(stepwise.encodeUnder(value, 3));
    const rules = { inForce: 1 };
    const bound = underRules(stepwise, rules);
    expect(bound.encode(value)).toEqual(stepwise.encodeUnder(value, 1));
    rules.inForce = 3;
    expect(bound.decode(bound.encode(value))).toEqual(value);
  });

  test('a newer shape is refused, also by the plain codec', () => {
    const bytes = third.encode({ amount: 1, by: { name: 'a' } });
    const refused = /FORMAT_UNKNOWN.*shape version 3.*up to 2.*newer code/;
    expect(() => second.decode(bytes)).toThrow(refused);
    expect(() => jsonCodec().decode(bytes)).toThrow(SyntaxError);
    expect(() => third.decode(bytes.subarray(0, 3))).toThrow(/CORRUPT/);
    expect([first, second, third, jsonCodec()].map((it) => versionOf(it))).toEqual([1, 2, 3, 1]);
  });

  test('a chain with a gap is refused at the start, and by the compiler', () => {
    // @ts-expect-error: from 2 to 3 is missing
    versionedJson<[First, Second, Third]>({ upcast: { 1: toSecond } });
    // @ts-expect-error: from 1 to 2 is missing
    const gap = () => versionedJson<[First, Second, Third]>({ upcast: { 2: toThird } });
    expect(gap).toThrow(/INVALID_ARGUMENT.*none from version 1 to 2/);
    // @ts-expect-error: what it makes is not the next shape
    versionedJson<[First, Second]>({ upcast: { 1: (old) => old } });
  });
});
