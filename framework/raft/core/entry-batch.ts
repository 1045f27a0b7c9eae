import { type LogIndex, sliceBatch as sliceRecords, type Term } from '../../base/index.ts';

/**
 * Entries side by side, of one term, as they were proposed together: entry `index` … `index + count - 1`.
 * The unit of replication and of the disk: followers keep it as the leader made it.
 */
export interface EntryBatch {
  /** Index of the first entry, from 1. */
  readonly index: LogIndex;
  readonly term: Term;
  /** Number of entries, at least 1. */
  readonly count: number;
  /** Framed commands (see `encodeBatch` in base); no bytes for the empty entry of a new leader. */
  readonly payload: Uint8Array;
}

/** What a batch costs in memory beside its payload, wherever bytes are counted. */
export const BATCH_OVERHEAD_BYTES = 256;

/** Index of the last entry of a batch. */
export function endOf(batch: EntryBatch): LogIndex {
  return batch.index + batch.count - 1;
}

/** Bytes that a batch counts against limits. */
export function costOf(batch: EntryBatch): number {
  return batch.payload.length + BATCH_OVERHEAD_BYTES;
}

/** The entries of `batch` from `from` on. */
export function sliceBatch(batch: EntryBatch, from: LogIndex): EntryBatch {
  if (from <= batch.index) return batch;
  const skip = from - batch.index;
  const { term, payload } = batch;
  const kept = sliceRecords({ count: batch.count, bytes: payload }, skip, batch.count - skip);
  return { index: from, term, count: kept.count, payload: kept.bytes };
}
