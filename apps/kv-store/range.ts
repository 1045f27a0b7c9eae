import { Buffer } from 'node:buffer';
import {
  type KeyValue,
  type RangeRequest,
  type RangeResponse,
  SORT_ORDER,
  SORT_TARGET,
} from './etcd/messages.ts';
import { bytesOfKey, type KeyRange, keyOfBytes, onlyKey } from './key.ts';
import type { MvccStore } from './mvcc-store.ts';
import { Refused } from './refusal.ts';
import type { LiveVersion } from './version.ts';

/** What was read for one request may have so many bytes of keys and values. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** The keys that etcd means by these two: without an end `key` alone, and with the end of a zero byte all from it on. */
export function rangeOf(key: Uint8Array, end: Uint8Array): KeyRange {
  const from = keyOfBytes(key);
  if (end.length === 0) return onlyKey(from);
  return end.length === 1 && end[0] === 0 ? { from } : { from, to: keyOfBytes(end) };
}

export function keyValueOf(version: LiveVersion, keysOnly = false): KeyValue {
  const { key, value, createRevision, revision, version: number, lease } = version;
  const meta = { createRevision, modRevision: revision, version: number, lease };
  return { key: bytesOfKey(key), ...meta, ...(keysOnly ? {} : { value }) };
}

/** Throws `compacted` or `futureRevision`. */
export function checkRevision(store: MvccStore, revision: number): void {
  if (revision > store.revision) throw new Refused('futureRevision');
  if (revision > 0 && revision < store.compacted) throw new Refused('compacted');
}

/**
 * Answers as etcd does; `count` is of the whole range, whatever is asked of it. The revision must have been checked. Throws
 * `answerTooLarge` where the answer would have more than `bytesMax` bytes of keys and values.
 */
export function readRange(
  store: MvccStore,
  request: RangeRequest,
  bytesMax = Number.POSITIVE_INFINITY,
): RangeResponse {
  const range = rangeOf(request.key, request.rangeEnd);
  const revision = request.revision > 0 ? request.revision : store.revision;
  const count = store.count(range, revision);
  if (request.countOnly) return { kvs: [], more: false, count };
  const limit = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
  const order = orderOf(request);
  const isOfFirst = order === undefined || isSortedLast(request);
  const found: LiveVersion[] = [];
  for (const version of store.range(range, revision)) {
    if (!isWanted(version, request)) continue;
    found.push(version);
    // One more than asked for tells that there are more.
    if (isOfFirst && found.length > limit) break;
  }
  if (order !== undefined) found.sort(order);
  const more = found.length > limit;
  if (more) found.length = limit;
  const kvs = found.map((it) => keyValueOf(it, request.keysOnly));
  if (bytesOf(kvs) > bytesMax) throw new Refused('answerTooLarge');
  return { kvs, more, count };
}

/** Bytes of keys and values. */
export function bytesOf(kvs: readonly KeyValue[]): number {
  return kvs.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
}

function isWanted(version: LiveVersion, request: RangeRequest): boolean {
  const { revision: mod, createRevision: created } = version;
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  return (
    mod >= minModRevision &&
    created >= minCreateRevision &&
    (maxModRevision === 0 || mod <= maxModRevision) &&
    (maxCreateRevision === 0 || created <= maxCreateRevision)
  );
}

/** As etcd has it: without an order, and where no key is left out, the first keys are taken (one more than asked for), and sorted then. */
function isSortedLast(request: RangeRequest): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  const bounds = [minModRevision, maxModRevision, minCreateRevision, maxCreateRevision];
  return request.sortOrder === SORT_ORDER.none && bounds.every((it) => it === 0);
}

type Order = (a: LiveVersion, b: LiveVersion) => number;

const ORDERS: Record<number, Order> = {
  [SORT_TARGET.key]: (a, b) => (a.key < b.key ? -1 : 1),
  [SORT_TARGET.version]: (a, b) => a.version - b.version,
  [SORT_TARGET.create]: (a, b) => a.createRevision - b.createRevision,
  [SORT_TARGET.mod]: (a, b) => a.revision - b.revision,
  [SORT_TARGET.value]: (a, b) => Buffer.compare(a.value, b.value),
};

/** `undefined`: as the keys come. */
function orderOf({ sortOrder, sortTarget }: RangeRequest): Order | undefined {
  const order = ORDERS[sortTarget];
  if (order === undefined) return undefined;
  if (sortOrder === SORT_ORDER.descend) return (a, b) => order(b, a);
  return sortTarget === SORT_TARGET.key ? undefined : order;
}
