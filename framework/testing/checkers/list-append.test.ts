import fc from 'fast-check';
import { checkListAppend, type ListOperation, type ListTransaction } from './list-append.ts';

const append = (key: string, value: string): ListOperation => ({ kind: 'append', key, value });
const read = (key: string, ...values: string[]): ListOperation => ({ kind: 'read', key, values });
let now = 0;
/** One after the other unless times are given. */
function txn(
  operations: ListOperation[],
  how: Partial<Omit<ListTransaction, 'operations'>> = {},
): ListTransaction {
  return { operations, callMs: ++now, returnMs: ++now, outcome: 'committed', ...how };
}
const together = { callMs: 0, returnMs: 1e9 };
const lost = { outcome: 'unknown', returnMs: Infinity } as const;

test.each<[string, ListTransaction[]]>([
  ['nothing', []],
  ['one after the other', [txn([append('x', '1')]), txn([read('x', '1'), append('x', '2')])]],
  [
    'own appends are seen',
    [txn([append('x', '1'), read('x', '1'), append('x', '2'), read('x', '1', '2')])],
  ],
  ['an unknown one that took effect', [txn([append('x', '1')], lost), txn([read('x', '1')])]],
  ['an unknown one that did not', [txn([append('x', '1')], lost), txn([read('x')])]],
  [
    'an unknown one that came late',
    [txn([append('x', '1')], lost), txn([read('x')]), txn([read('x', '1')])],
  ],
  [
    'an aborted one that is not seen',
    [txn([append('x', '1')], { outcome: 'aborted' }), txn([read('x')])],
  ],
  [
    'reads of one moment that all agree with one order',
    [
      txn([append('x', '1')], together),
      txn([read('x'), read('y')], together),
      txn([read('x', '1')], together),
    ],
  ],
])('accepts: %s', (_, history) => expect(checkListAppend(history)).toEqual([]));

test.each<[string, RegExp, ListTransaction[]]>([
  [
    'a stale read',
    /order of time: 0 -time-> 1 -rw x-> 0/,
    [txn([append('x', '1')]), txn([read('x')]), txn([read('x', '1')])],
  ],
  [
    'a lost append, never read by anyone later',
    /order of time/,
    [txn([append('x', '1')]), txn([append('y', '1')]), txn([read('x')])],
  ],
  [
    'an aborted append that is read',
    /of 0, which was aborted \(G1a\)/,
    [txn([append('x', '1')], { outcome: 'aborted' }), txn([read('x', '1')])],
  ],
  ['a value from nowhere', /"9", which nobody appended/, [txn([read('x', '9')])]],
  [
    'an append that took effect twice',
    /holds a value twice/,
    [txn([append('x', '1')]), txn([read('x', '1', '1')])],
  ],
  [
    'the middle of a transaction',
    /in the middle of a transaction \(G1b\)/,
    [txn([append('x', '1'), append('x', '2')], together), txn([read('x', '1')], together)],
  ],
  ['own appends that are not seen', /had to be/, [txn([append('x', '1'), read('x')])]],
  [
    'a second read that differs',
    /had to be/,
    [txn([read('x'), read('x', '1')], together), txn([append('x', '1')], together)],
  ],
  [
    'readers that disagree on the order',
    /no beginning/,
    [
      txn([append('x', '1')], together),
      txn([append('x', '2')], together),
      txn([read('x', '1', '2')]),
      txn([read('x', '2')]),
    ],
  ],
  [
    'appends that cross (G0)',
    /\(G0\): .*-ww [xy]-> .*-ww [xy]-> /,
    [
      txn([append('x', '1'), append('y', '1')], together),
      txn([append('x', '2'), append('y', '2')], together),
      txn([read('x', '1', '2'), read('y', '2', '1')], together),
    ],
  ],
  [
    'two that read each other (G1c)',
    /\(G1c\)/,
    [
      txn([append('x', '1'), read('y', '1')], together),
      txn([append('y', '1'), read('x', '1')], together),
    ],
  ],
  [
    'one that saw half of another (G-single)',
    /\(G-single\): 1 -rw y-> 0 -wr x-> 1/,
    [
      txn([append('x', '1'), append('y', '1')], together),
      txn([read('x', '1'), read('y')], together),
      txn([read('y', '1')], together),
    ],
  ],
  [
    'a lost update (G-single)',
    /\(G-single\): .*-rw x-> .*-ww x-> /,
    [
      txn([read('x'), append('x', '1')], together),
      txn([read('x'), append('x', '2')], together),
      txn([read('x', '1', '2')], together),
    ],
  ],
  [
    'write skew (G2)',
    /\(G2\): .*-rw [xy]-> .*-rw [xy]-> /,
    [txn([read('x'), append('y', '1')], together), txn([read('y'), append('x', '1')], together)],
  ],
  [
    'a long fork (G2)',
    /\(G2\)/,
    [
      txn([append('x', '1')], together),
      txn([append('y', '1')], together),
      txn([read('x', '1'), read('y')], together),
      txn([read('x'), read('y', '1')], together),
    ],
  ],
])('finds: %s', (_, problem, history) => {
  expect(checkListAppend(history).join('\n')).toMatch(problem);
});

const KEYS = ['a', 'b', 'c'];
const bodies = fc.array(
  fc.record({
    operations: fc.array(fc.record({ key: fc.constantFrom(...KEYS), read: fc.boolean() }), {
      minLength: 1,
      maxLength: 4,
    }),
    startsBefore: fc.nat(3),
    endsAfter: fc.nat(3),
    answered: fc.boolean(),
  }),
  { minLength: 1, maxLength: 25 },
);

/** Transactions that took effect one at a time, at 10, 20, 30 …, called before and answered after. */
function serialHistory(
  plan: typeof bodies extends fc.Arbitrary<infer T> ? T : never,
): ListTransaction[] {
  const lists = new Map<string, string[]>(KEYS.map((key) => [key, []]));
  let value = 0;
  return plan.map(({ operations, startsBefore, endsAfter, answered }, i) => ({
    operations: operations.map(({ key, read: reads }): ListOperation => {
      const list = lists.get(key)!;
      if (reads) return read(key, ...list);
      list.push(String(++value));
      return append(key, String(value));
    }),
    callMs: (i - startsBefore) * 10 - 1,
    returnMs: answered ? (i + endsAfter) * 10 + 1 : Infinity,
    outcome: answered ? 'committed' : 'unknown',
  }));
}

test('accepts whatever one serial order can explain', () => {
  fc.assert(
    fc.property(bodies, (plan) => {
      expect(checkListAppend(serialHistory(plan))).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

test('finds a read that misses what was there before it was called', () => {
  fc.assert(
    fc.property(bodies, fc.constantFrom(...KEYS), (plan, key) => {
      const history = serialHistory(plan);
      const settled: ListTransaction = {
        operations: [append(key, 'last')],
        callMs: 1e6,
        returnMs: 1e6 + 1,
        outcome: 'committed',
      };
      const before = history.flatMap(({ operations }) =>
        operations.flatMap((it) => (it.kind === 'append' && it.key === key ? [it.value] : [])),
      );
      const stale: ListTransaction = {
        operations: [read(key, ...before)],
        callMs: 1e6 + 2,
        returnMs: 1e6 + 3,
        outcome: 'committed',
      };
      expect(checkListAppend([...history, settled, stale])).not.toEqual([]);
    }),
  );
});
