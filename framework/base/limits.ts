import { VarlogError } from './errors.ts';

/** Limits that clients and servers share, so that a refusal never depends on where it was checked. */

/** One record may hold this many bytes, where nothing else was said: see {@link recordLimits}. */
export const RECORD_BYTES_MAX = 1024 * 1024;
/** One batch may hold this many framed bytes, unless a single record may be larger than that. */
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** A storage node and its clients may be told to let a record hold so many bytes, and no more. */
export const LARGEST_RECORD_BYTES = 16 * 1024 * 1024;
/** For what stands beside such a record in its batch: lengths, headers, its producer. */
const BESIDE_RECORD_BYTES = 64 * 1024;
/** Whoever passes batches on takes those of this size, whatever it lets clients append itself. */
export const LARGEST_BATCH_BYTES = LARGEST_RECORD_BYTES + BESIDE_RECORD_BYTES;
/** One message may hold this many bytes: the largest batch, with what goes around it. */
export const MESSAGE_BYTES_MAX = LARGEST_RECORD_BYTES + 1024 * 1024;
/**
 * One message of a subscription holds about this many bytes: a stalled reader makes grpc-js hold
 * some 31 messages, whatever their size. A single larger batch still travels alone.
 */
export const SUBSCRIPTION_MESSAGE_BYTES = 128 * 1024;

/** How many bytes may be appended at once, somewhere. */
export interface RecordLimits {
  /** Of one record. */
  readonly recordBytes: number;
  /** Of one batch, framed, with its header. */
  readonly batchBytes: number;
}

/**
 * The limits where a record may hold `recordBytes`, a whole number from 1 to {@link LARGEST_RECORD_BYTES}. Throws
 * `INVALID_ARGUMENT` for another one.
 */
export function recordLimits(recordBytes: number = RECORD_BYTES_MAX): RecordLimits {
  const isPossible =
    Number.isInteger(recordBytes) && recordBytes >= 1 && recordBytes <= LARGEST_RECORD_BYTES;
  if (!isPossible) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `recordBytesMax cannot be ${recordBytes}`,
      next: `choose a whole number from 1 to ${LARGEST_RECORD_BYTES}`,
    });
  }
  const batchBytes = Math.max(BATCH_BYTES_MAX, recordBytes + BESIDE_RECORD_BYTES);
  return { recordBytes, batchBytes };
}
