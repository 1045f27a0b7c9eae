import fc from 'fast-check';
import type {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from './messages.ts';
import { checkTransaction } from './request-check.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** Requests as they are decoded, with every field that is not named at its default. Keys and values are in Latin-1. */
export function rangeRequest(
  key: string,
  rangeEnd: string,
  more: Partial<RangeRequest> = {},
): RangeRequest {
  const sorted = { limit: 0, revision: 0, sortOrder: 0, sortTarget: 0 };
  const flags = { serializable: false, keysOnly: false, countOnly: false };
  const mod = { minModRevision: 0, maxModRevision: 0 };
  const created = { minCreateRevision: 0, maxCreateRevision: 0 };
  const range = { key: bytes(key), rangeEnd: bytes(rangeEnd) };
  return { ...range, ...sorted, ...flags, ...mod, ...created, ...more };
}

export function putRequest(key: string, value: string, more: Partial<PutRequest> = {}): PutRequest {
  const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
  return { key: bytes(key), value: bytes(value), lease: 0, ...flags, ...more };
}

export function deleteRequest(key: string, rangeEnd: string, prevKv = false): DeleteRangeRequest {
  return { key: bytes(key), rangeEnd: bytes(rangeEnd), prevKv };
}

export const LEASES = [1, 2, 3];
/** Few, so that they meet; two of them are no text. */
const key = fc.constantFrom('a', 'ab', 'b', 'c', '\0', '\xff\xfe');
const end = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  { weight: 3, arbitrary: key },
  { weight: 2, arbitrary: fc.constant('\0') },
);
const value = fc.constantFrom('', 'x', 'y', '\xff');
const lease = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.constantFrom(...LEASES, -1) },
);
/** Revisions that have been, that will be, and 0 for none. */
const revision = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(40));
/** So few keys stay in their order where they are equal in what they are sorted by, also with etcd. */
const sorting = fc.oneof(
  fc.constant({ sortOrder: 0, sortTarget: 0 }),
  fc.record({ sortOrder: fc.nat(2), sortTarget: fc.nat(4) }),
);

const anyRange: fc.Arbitrary<RangeRequest> = fc
  .record({
    key,
    end,
    limit: fc.oneof(fc.constant(0), fc.integer({ min: -1, max: 3 })),
    revision,
    sorting,
    keysOnly: fc.boolean(),
    countOnly: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
    bounds: fc.oneof(
      { weight: 3, arbitrary: fc.constant({}) },
      fc.record(
        {
          minModRevision: fc.integer({ min: -1, max: 20 }),
          maxModRevision: fc.integer({ min: -1, max: 30 }),
          minCreateRevision: fc.integer({ min: -1, max: 20 }),
          maxCreateRevision: fc.integer({ min: -1, max: 30 }),
        },
        { requiredKeys: [] },
      ),
    ),
  })
  .map(({ key: from, end: to, sorting: sorted, bounds, ...more }) =>
    rangeRequest(from, to, { ...more, ...sorted, ...bounds }),
  );

const anyPut: fc.Arbitrary<PutRequest> = fc
  .record({
    key,
    value,
    lease,
    prevKv: fc.boolean(),
    ignore: fc.oneof(
      { weight: 6, arbitrary: fc.constant({}) },
      fc.constantFrom({ ignoreValue: true }, { ignoreLease: true }),
    ),
  })
  .map(({ ignore, ...it }) =>
    putRequest(it.key, 'ignoreValue' in ignore ? '' : it.value, {
      // Of two reasons to refuse a put etcd names one or the other, as it came alone or in a transaction.
      lease: Object.keys(ignore).length > 0 ? 0 : it.lease,
      prevKv: it.prevKv,
      ...ignore,
    }),
  );

const anyDelete: fc.Arbitrary<DeleteRangeRequest> = fc
  .tuple(key, end, fc.boolean())
  .map((it) => deleteRequest(...it));

const anyCompare: fc.Arbitrary<Compare> = fc
  .record({
    key,
    end,
    result: fc.nat(3),
    than: fc.oneof(
      fc.integer({ min: -1, max: 3 }).map((version) => ({ target: 0, version })),
      // Compared is what the target is of, whatever is given.
      fc.record({ target: fc.nat(4), version: fc.nat(3) }),
      fc.nat(30).map((createRevision) => ({ target: 1, createRevision })),
      fc.nat(30).map((modRevision) => ({ target: 2, modRevision })),
      value.map((it) => ({ target: 3, value: bytes(it) })),
      lease.map((it) => ({ target: 4, lease: it })),
    ),
  })
  .map(({ than, ...it }) => ({
    key: bytes(it.key),
    rangeEnd: bytes(it.end),
    result: it.result,
    ...than,
  }));

const simple: fc.Arbitrary<RequestOp> = fc.oneof(
  { weight: 3, arbitrary: anyPut.map((requestPut) => op({ requestPut })) },
  { weight: 2, arbitrary: anyRange.map((requestRange) => op({ requestRange })) },
  { weight: 1, arbitrary: anyDelete.map((requestDeleteRange) => op({ requestDeleteRange })) },
);

function transaction(ops: fc.Arbitrary<RequestOp>): fc.Arbitrary<TxnRequest> {
  return fc.record({
    compare: fc.array(anyCompare, { maxLength: 2 }),
    success: fc.array(ops, { maxLength: 3 }),
    failure: fc.array(ops, { maxLength: 3 }),
  });
}

const within = transaction(simple).map((requestTxn) => op({ requestTxn }));

/** A transaction whose own writes would change what the one within finds. */
export const withinOne: TxnRequest = {
  compare: [],
  success: [
    op({ requestPut: putRequest('a', 'x') }),
    op({
      requestTxn: {
        compare: [{ key: bytes('a'), rangeEnd: bytes(''), result: 0, target: 0, version: 0 }],
        success: [op({ requestPut: putRequest('b', 'then') })],
        failure: [op({ requestPut: putRequest('b', 'else') })],
      },
    }),
    op({ requestRange: rangeRequest('a', 'c') }),
  ],
  failure: [],
};

/** A single operation, as each of etcd's methods makes one, or several, with transactions within. */
export const anyRequest: fc.Arbitrary<TxnRequest> = fc.oneof(
  { weight: 2, arbitrary: simple.map((it) => ({ compare: [], success: [it], failure: [] })) },
  { weight: 1, arbitrary: transaction(fc.oneof({ weight: 2, arbitrary: simple }, within)) },
);

/** One that gets to the machine. */
export const anyTransaction = anyRequest.filter(isAccepted);

/** What writes a key twice is refused before. */
export function isAccepted(request: TxnRequest): boolean {
  try {
    checkTransaction(request);
    return true;
  } catch {
    return false;
  }
}

/** An operation of which one field is given. */
export function op(given: object): RequestOp {
  const [request] = Object.keys(given);
  return { request, ...given } as RequestOp;
}
