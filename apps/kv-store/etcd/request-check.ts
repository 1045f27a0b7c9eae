import { KEY_BYTES_MAX } from '../inputs.ts';
import { keyOfBytes } from '../key.ts';
import { rangeOf } from '../range.ts';
import { invalid, refused } from './etcd-error.ts';
import {
  COMPARE_RESULT,
  COMPARE_TARGET,
  type Compare,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  SORT_ORDER,
  SORT_TARGET,
  type TxnRequest,
} from './messages.ts';
import { isWrittenTwice, type Written } from './written-twice.ts';

/** Keys and values of one request may have so many bytes together: what one record of a topic has room for. */
const REQUEST_BYTES_MAX = 1_000_000;
/** A list of a transaction may have so many conditions or operations. */
const OPERATIONS_MAX = 128;
/** One transaction may have so many in all, counted once for each that they are within. */
const ALL_OPERATIONS_MAX = 65_536;
/** Transactions may be within each other so deep: half of what can be encoded, as an answer too, wherever it is part of another message. */
const DEPTH_MAX = 24;

const TARGETS = new Set<number>(Object.values(COMPARE_TARGET));
const RESULTS = new Set<number>(Object.values(COMPARE_RESULT));
const SORT_TARGETS = new Set<number>(Object.values(SORT_TARGET));
const SORT_ORDERS = new Set<number>(Object.values(SORT_ORDER));

/** What a transaction has in all. */
interface Tally {
  bytes: number;
  operations: number;
}

/** Throws for what etcd refuses before it looks at any key. */
export function checkTransaction(request: TxnRequest): void {
  const tally = { bytes: 0, operations: 0 };
  checkLists(request, tally, 1);
  if (tally.bytes > REQUEST_BYTES_MAX) throw invalid('request is too large');
  checkWrites(request.success);
  checkWrites(request.failure);
}

function checkKey(key: Uint8Array): void {
  if (key.length === 0) throw invalid('key is not provided');
  if (key.length > KEY_BYTES_MAX) throw invalid('request is too large');
}

export function checkRange({ key, sortTarget, sortOrder }: RangeRequest): void {
  checkKey(key);
  if (!SORT_TARGETS.has(sortTarget) || !SORT_ORDERS.has(sortOrder))
    throw invalid('invalid sort option');
}

/** A comparison of a later version is no condition that this one could keep. */
function checkCompare({ key, target, result, ...than }: Compare): void {
  checkKey(key);
  if (!TARGETS.has(target)) throw invalid(`a comparison with target ${target} is not known`);
  if (!RESULTS.has(result)) throw invalid(`a comparison for result ${result} is not known`);
  checkNumbers(than.version, than.createRevision, than.modRevision, than.lease);
}

/** The id that a lease is to have; 0: any. */
export function checkLease(lease: number): void {
  if (!Number.isSafeInteger(lease) || lease < 0)
    throw invalid('lease ids are whole numbers below 2^53 here');
}

/** The largest of 64 bits would be below zero once it is stored: a number that means more than all there are would mean less. */
function checkNumbers(...numbers: readonly (number | undefined)[]): void {
  if (!numbers.every((it) => it === undefined || Number.isSafeInteger(it)))
    throw invalid('revisions, versions and lease ids are whole numbers below 2^53 here');
}

/** Adds to the tally what it has. `depth`: of how many transactions its operations are part. */
function checkLists({ compare, success, failure }: TxnRequest, tally: Tally, depth: number): void {
  if (depth > DEPTH_MAX)
    throw invalid(`transactions may be ${DEPTH_MAX} deep here, those within others included`);
  tally.operations += (success.length + failure.length) * depth;
  const isMuch = [compare, success, failure].some(({ length }) => length > OPERATIONS_MAX);
  if (isMuch || tally.operations > ALL_OPERATIONS_MAX)
    throw invalid('too many operations in txn request');
  for (const it of compare) {
    checkCompare(it);
    tally.bytes += it.key.length + (it.value?.length ?? 0);
  }
  for (const op of [...success, ...failure]) checkOperation(op, tally, depth);
}

function checkOperation(op: RequestOp, tally: Tally, depth: number): void {
  switch (op.request) {
    case 'requestTxn':
      checkLists(op.requestTxn, tally, depth + 1);
      return;
    case 'requestPut':
      checkPut(op.requestPut);
      tally.bytes += op.requestPut.key.length + op.requestPut.value.length;
      return;
    case 'requestRange':
      checkRange(op.requestRange);
      // Alone, one below zero means the present; etcd takes it for one that was compacted in a transaction.
      if (op.requestRange.revision < 0) throw refused('compacted');
      checkNumbers(
        op.requestRange.revision,
        op.requestRange.minModRevision,
        op.requestRange.minCreateRevision,
      );
      tally.bytes += op.requestRange.key.length;
      return;
    case 'requestDeleteRange':
      checkKey(op.requestDeleteRange.key);
      tally.bytes += op.requestDeleteRange.key.length;
      return;
    default:
      throw invalid('key not found');
  }
}

/** A lease that cannot be is not found, as any other that is not there. */
function checkPut({ key, value, lease, ignoreValue, ignoreLease }: PutRequest): void {
  checkKey(key);
  if (ignoreValue && value.length > 0) throw invalid('value is provided');
  if (ignoreLease && lease !== 0) throw invalid('lease is provided');
}

/** No key is put twice, or put and deleted. Of a transaction within either branch counts, but not one beside the other. */
function checkWrites(ops: readonly RequestOp[]): Written {
  const written = ops.map(writesOf);
  if (isWrittenTwice(written)) throw invalid('duplicate key given in txn request');
  return together(written);
}

function together(written: readonly Written[]): Written {
  return {
    puts: written.flatMap(({ puts }) => puts),
    deletes: written.flatMap(({ deletes }) => deletes),
  };
}

function writesOf(op: RequestOp): Written {
  switch (op.request) {
    case 'requestPut':
      return { puts: [keyOfBytes(op.requestPut.key)], deletes: [] };
    case 'requestDeleteRange': {
      const { key, rangeEnd } = op.requestDeleteRange;
      return { puts: [], deletes: [rangeOf(key, rangeEnd)] };
    }
    case 'requestTxn':
      return together([op.requestTxn.success, op.requestTxn.failure].map(checkWrites));
    default:
      return { puts: [], deletes: [] };
  }
}
