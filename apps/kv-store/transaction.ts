import { Buffer } from 'node:buffer';
import {
  COMPARE_RESULT,
  COMPARE_TARGET,
  type Compare,
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  type PutRequest,
  type PutResponse,
  type RequestOp,
  type ResponseOp,
  type TxnRequest,
  type TxnResponse,
} from './etcd/messages.ts';
import { keyOfBytes } from './key.ts';
import type { Writer } from './key-writer.ts';
import type { MvccStore } from './mvcc-store.ts';
import {
  ANSWER_BYTES_MAX,
  bytesOf,
  checkRevision,
  keyValueOf,
  rangeOf,
  readRange,
} from './range.ts';
import { Refused } from './refusal.ts';
import { copyOfValue } from './value-memory.ts';
import type { LiveVersion } from './version.ts';

/** A transaction whose conditions were looked at: what it does now. */
interface Branch {
  readonly succeeded: boolean;
  /** A transaction within stands as its own branch. */
  readonly steps: readonly { readonly op: RequestOp; readonly within?: Branch }[];
}

/**
 * Runs a transaction as etcd does: all conditions, also those of transactions within, are about the state before; if
 * nothing of what is to be done then is refused, all of it is done in order, and what is written has one revision. Throws
 * {@link Refused} before anything has changed.
 */
export function runTransaction(writer: Writer, request: TxnRequest): TxnResponse {
  const branch = choose(writer.store, request);
  checkPuts(writer, branch);
  checkReads(writer.store, branch);
  const done = run(writer, branch);
  return { ...done, header: { revision: writer.store.revision } };
}

/** Whether a transaction writes nothing, whatever it finds. */
export function onlyReads({ success, failure }: TxnRequest): boolean {
  return [...success, ...failure].every(
    (op) =>
      op.request === 'requestRange' || (op.request === 'requestTxn' && onlyReads(op.requestTxn)),
  );
}

function choose(store: MvccStore, { compare, success, failure }: TxnRequest): Branch {
  const succeeded = compare.every((it) => holds(store, it));
  const steps = (succeeded ? success : failure).map((op) =>
    op.request === 'requestTxn' ? { op, within: choose(store, op.requestTxn) } : { op },
  );
  return { succeeded, steps };
}

/** Puts come first, as etcd has it. */
function checkPuts(writer: Writer, { steps }: Branch): void {
  for (const { op, within } of steps) {
    if (within !== undefined) checkPuts(writer, within);
    else if (op.request === 'requestPut') checkPut(writer, op.requestPut);
  }
}

function checkPut({ store, leases }: Writer, request: PutRequest): void {
  const { key, lease, ignoreValue, ignoreLease } = request;
  if ((ignoreValue || ignoreLease) && store.get(keyOfBytes(key)) === undefined)
    throw new Refused('keyNotFound');
  if (lease !== 0) leases.held(lease);
}

/** Gives the bytes of what is read from the state before. */
function checkReads(store: MvccStore, { steps }: Branch): number {
  let bytes = 0;
  for (const { op, within } of steps)
    bytes += within ? checkReads(store, within) : bytesRead(store, op);
  if (bytes > ANSWER_BYTES_MAX) throw new Refused('answerTooLarge');
  return bytes;
}

function bytesRead(store: MvccStore, op: RequestOp): number {
  if (op.request === 'requestRange') {
    checkRevision(store, op.requestRange.revision);
    return bytesOf(readRange(store, op.requestRange, ANSWER_BYTES_MAX).kvs);
  }
  if (op.request !== 'requestDeleteRange' || !op.requestDeleteRange.prevKv) return 0;
  const { key, rangeEnd } = op.requestDeleteRange;
  let bytes = 0;
  for (const { value } of store.range(rangeOf(key, rangeEnd))) bytes += value.length;
  return bytes;
}

function run(writer: Writer, { succeeded, steps }: Branch): TxnResponse {
  const responses = steps.map(({ op, within }): ResponseOp => {
    if (within !== undefined) return { responseTxn: run(writer, within) };
    if (op.request === 'requestPut') return { responsePut: put(writer, op.requestPut) };
    if (op.request === 'requestDeleteRange')
      return { responseDeleteRange: deleteRange(writer, op.requestDeleteRange) };
    if (op.request !== 'requestRange') throw new TypeError('an operation of a later version');
    const { store } = writer;
    const found = readRange(store, op.requestRange);
    return { responseRange: { header: { revision: store.revision }, ...found } };
  });
  // As etcd has it for a transaction within.
  return { header: { revision: 0 }, succeeded, responses };
}

function put(writer: Writer, request: PutRequest): PutResponse {
  const key = keyOfBytes(request.key);
  const before = writer.store.get(key);
  const kept = request.ignoreValue ? before?.value : undefined;
  const value = kept ?? copyOfValue(request.value);
  const lease = request.ignoreLease ? (before?.lease ?? 0) : request.lease;
  writer.put(key, value, lease);
  const header = { revision: writer.store.revision };
  return request.prevKv && before !== undefined
    ? { header, prevKv: keyValueOf(before) }
    : { header };
}

function deleteRange(writer: Writer, request: DeleteRangeRequest): DeleteRangeResponse {
  const { store } = writer;
  const found = [...store.range(rangeOf(request.key, request.rangeEnd))];
  for (const { key } of found) writer.delete(key);
  const header = { revision: store.revision };
  const prevKvs = request.prevKv ? found.map((it) => keyValueOf(it)) : [];
  return { header, deleted: found.length, prevKvs };
}

/** What a condition is about; of a key that is not there, all zeros. */
type Compared = Pick<LiveVersion, 'version' | 'createRevision' | 'revision' | 'lease'> & {
  readonly value: Uint8Array | undefined;
};

const ABSENT: Compared = { version: 0, createRevision: 0, revision: 0, lease: 0, value: undefined };

/** Whether a condition holds of every key in its range, and where there is none, of one that is not there. */
function holds(store: MvccStore, compare: Compare): boolean {
  let found = false;
  for (const version of store.range(rangeOf(compare.key, compare.rangeEnd))) {
    found = true;
    if (!holdsOf(version, compare)) return false;
  }
  return found || holdsOf(ABSENT, compare);
}

function holdsOf(of: Compared, compare: Compare): boolean {
  const difference = differenceOf(of, compare);
  // What is not there has no value, not even an empty one.
  if (difference === undefined) return false;
  switch (compare.result) {
    case COMPARE_RESULT.equal:
      return difference === 0;
    case COMPARE_RESULT.greater:
      return difference > 0;
    case COMPARE_RESULT.less:
      return difference < 0;
    default:
      return difference !== 0;
  }
}

function differenceOf(of: Compared, compare: Compare): number | undefined {
  switch (compare.target) {
    case COMPARE_TARGET.version:
      return of.version - (compare.version ?? 0);
    case COMPARE_TARGET.create:
      return of.createRevision - (compare.createRevision ?? 0);
    case COMPARE_TARGET.mod:
      return of.revision - (compare.modRevision ?? 0);
    case COMPARE_TARGET.lease:
      return of.lease - (compare.lease ?? 0);
    default:
      return of.value && Buffer.compare(of.value, compare.value ?? new Uint8Array());
  }
}
