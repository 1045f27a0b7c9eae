import { KEY_BYTES_MAX } from '../inputs.ts';
import { isInRange, type Key, type KeyRange, keyOfBytes } from '../key.ts';
import { rangeOf } from '../range.ts';
import { invalid } from './etcd-error.ts';
import type { PutRequest, RequestOp, TxnRequest } from './messages.ts';

/** Keys and values of one request may have so many bytes together: what one record of a topic has room for. */
const REQUEST_BYTES_MAX = 1_000_000;
/** A list of a transaction may have so many conditions or operations. */
const OPERATIONS_MAX = 128;

/** What some operations of a transaction write. */
interface Written {
  readonly puts: ReadonlySet<Key>;
  readonly deletes: readonly KeyRange[];
}

/** Throws for what etcd refuses before it looks at any key. */
export function checkTransaction(request: TxnRequest): void {
  const bytes = checkLists(request);
  if (bytes > REQUEST_BYTES_MAX) throw invalid('request is too large');
  checkWrites(request.success);
  checkWrites(request.failure);
}

export function checkKey(key: Uint8Array): void {
  if (key.length === 0) throw invalid('key is not provided');
  if (key.length > KEY_BYTES_MAX) throw invalid('request is too large');
}

/** An id of a lease, which is none where it is 0. */
export function checkLease(lease: number): void {
  if (!Number.isSafeInteger(lease) || lease < 0)
    throw invalid('lease ids are whole numbers below 2^53 here');
}

/** The largest of 64 bits would be below zero once it is stored: a number that means more than all there are would mean less. */
function checkNumbers(...numbers: readonly (number | undefined)[]): void {
  if (!numbers.every((it) => it === undefined || Number.isSafeInteger(it)))
    throw invalid('revisions, versions and lease ids are whole numbers below 2^53 here');
}

/** Gives the bytes of its keys and values. */
function checkLists({ compare, success, failure }: TxnRequest): number {
  const lists = [compare, success, failure];
  if (lists.some(({ length }) => length > OPERATIONS_MAX))
    throw invalid('too many operations in txn request');
  let bytes = 0;
  for (const { key, value, version, createRevision, modRevision, lease } of compare) {
    checkKey(key);
    checkNumbers(version, createRevision, modRevision, lease);
    bytes += key.length + (value?.length ?? 0);
  }
  for (const op of [...success, ...failure]) bytes += checkOperation(op);
  return bytes;
}

function checkOperation(op: RequestOp): number {
  switch (op.request) {
    case 'requestTxn':
      return checkLists(op.requestTxn);
    case 'requestPut':
      checkPut(op.requestPut);
      return op.requestPut.key.length + op.requestPut.value.length;
    case 'requestRange':
      checkKey(op.requestRange.key);
      checkNumbers(
        op.requestRange.revision,
        op.requestRange.minModRevision,
        op.requestRange.minCreateRevision,
      );
      return op.requestRange.key.length;
    case 'requestDeleteRange':
      checkKey(op.requestDeleteRange.key);
      return op.requestDeleteRange.key.length;
    default:
      throw invalid('key not found');
  }
}

function checkPut({ key, value, lease, ignoreValue, ignoreLease }: PutRequest): void {
  checkKey(key);
  checkLease(lease);
  if (ignoreValue && value.length > 0) throw invalid('value is provided');
  if (ignoreLease && lease !== 0) throw invalid('lease is provided');
}

/** No key is put twice, or put and deleted. Of a transaction within either branch counts, but not one beside the other. */
function checkWrites(ops: readonly RequestOp[]): Written {
  const puts = new Set<Key>();
  const deletes: KeyRange[] = [];
  for (const op of ops) {
    const written = writesOf(op);
    const isTwice =
      [...written.puts].some((key) => puts.has(key) || isInAny(key, deletes)) ||
      [...puts].some((key) => isInAny(key, written.deletes));
    if (isTwice) throw invalid('duplicate key given in txn request');
    for (const key of written.puts) puts.add(key);
    deletes.push(...written.deletes);
  }
  return { puts, deletes };
}

function isInAny(key: Key, ranges: readonly KeyRange[]): boolean {
  return ranges.some((range) => isInRange(key, range));
}

function writesOf(op: RequestOp): Written {
  switch (op.request) {
    case 'requestPut':
      return { puts: new Set([keyOfBytes(op.requestPut.key)]), deletes: [] };
    case 'requestDeleteRange': {
      const { key, rangeEnd } = op.requestDeleteRange;
      return { puts: new Set(), deletes: [rangeOf(key, rangeEnd)] };
    }
    case 'requestTxn': {
      const [then, otherwise] = [op.requestTxn.success, op.requestTxn.failure].map(checkWrites);
      const puts = new Set([...then!.puts, ...otherwise!.puts]);
      return { puts, deletes: [...then!.deletes, ...otherwise!.deletes] };
    }
    default:
      return { puts: new Set(), deletes: [] };
  }
}
