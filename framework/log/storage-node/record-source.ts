import type { Frame } from '../../store/index.ts';

/**
 * Where readers get the batches of a log stream, by LLSN: see {@link LocalRecords}. Whether they are committed is not
 * its concern: who reads goes no further than what is.
 *
 * - `first` is the first LLSN that it has. It MUST NOT fall, except where a replica begins anew, and MAY rise at any
 *   time, also while something is read.
 * - `read` MUST give whole batches in their order, without a gap, from the one that holds record `from` on: also one of
 *   which the beginning was trimmed.
 * - `read` MUST fail with `TRIMMED` where `from` is below `first` when it is called, thrown or as a rejection. It
 *   MUST NOT begin with a later record instead.
 * - When `first` rises above `from` during a read, that MAY still give what it was asked for, or fail with `TRIMMED`.
 * - `read` MUST give at least one batch where it has `from`, and none where that is after its end. Beyond the
 *   first it MUST stop at about `bytesMax` bytes of payload, and MAY stop before.
 * - What cannot be read as it was stored MUST fail with `CORRUPT` or `DISK_FAILED`, and MUST NOT be left out.
 * - `firstSince` MUST give the first of the batches up to record `through` whose timestamp is `timestamp` or later, and nothing
 *   where all are older. Timestamps do not fall. What is below `first` when it resolves MAY be given or passed over.
 * - What is at hand MAY be given at once, as an array: the way of the newest records, without a promise.
 */
export interface RecordSource {
  readonly first: number;
  read(from: number, bytesMax: number): Frame[] | Promise<Frame[]>;
  firstSince(timestamp: number, through: number): Promise<Frame | undefined>;
}
