import fc from 'fast-check';
import { isInRange, type Key, type KeyRange, keyOfText } from '../key.ts';
import type { RequestOp, TxnRequest } from './messages.ts';
import { checkTransaction } from './request-check.ts';
import { deleteRequest, op, putRequest } from './requests.fixture.ts';
import { isWrittenTwice, type Written } from './written-twice.ts';

const FEW = ['a', 'b', 'c', 'd'].map(keyOfText);
const key = fc.constantFrom(...FEW);
const range: fc.Arbitrary<KeyRange> = fc.oneof(
  key.map((from) => ({ from })),
  fc.record({ from: key, to: key }),
);
const written: fc.Arbitrary<Written> = fc.record({
  puts: fc.array(key, { maxLength: 2 }),
  deletes: fc.array(range, { maxLength: 2 }),
});

/** By looking at each with each other. */
function meets(one: Written, other: Written): boolean {
  const isDeleted = (it: Key): boolean => other.deletes.some((range) => isInRange(it, range));
  return one.puts.some((it) => other.puts.includes(it) || isDeleted(it));
}

test('a key is written twice where one operation puts what another one puts or deletes', () => {
  fc.assert(
    fc.property(fc.array(written, { maxLength: 4 }), (all) => {
      const expected = all.some((one, i) => all.some((it, j) => i !== j && meets(one, it)));
      expect(isWrittenTwice(all)).toBe(expected);
    }),
    { numRuns: 2_000 },
  );
});

const txn = (success: RequestOp[]): TxnRequest => ({ compare: [], success, failure: [] });
const within = (success: RequestOp[]): RequestOp => op({ requestTxn: txn(success) });
const many = (make: (i: number) => RequestOp): RequestOp[] =>
  Array.from({ length: 128 }, (_, i) => make(i));

test('as many operations as may be are checked without looking at each with each other', () => {
  const put = (i: number, j: number) => op({ requestPut: putRequest(`${i} ${j}`, '') });
  const remove = (i: number, j: number) =>
    op({ requestDeleteRange: deleteRequest(`${i} ${j}!`, '') });
  const request = txn(many((i) => within(many((j) => (i % 2 === 0 ? put : remove)(i, j)))));
  for (let times = 0; times < 20; times++) checkTransaction(request);
  const twice = [...request.success.slice(1), op({ requestPut: putRequest('127 127!', '') })];
  expect(() => checkTransaction(txn(twice))).toThrow('duplicate key');
});

test('transactions within transactions do not make more of them', () => {
  const put = op({ requestPut: putRequest('a', '') });
  let deep = txn([put]);
  for (let depth = 1; depth < 24; depth++) deep = txn([op({ requestTxn: deep })]);
  checkTransaction(deep);
  const deeper = txn([op({ requestTxn: deep })]);
  expect(() => checkTransaction(deeper)).toThrow('transactions may be 24 deep here');
  const wide = many(() => within(many(() => within([put]))));
  expect(() => checkTransaction(txn(wide))).toThrow('too many operations');
});
