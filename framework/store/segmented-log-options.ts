import type { Clock, Disk, VarlogError } from '../base/index.ts';
import type { CacheBudget } from './tail-cache.ts';

/**
 * Called with the new `durableEnd` after each fdatasync that moved it, and when the write of the last of that began, by
 * the `clock` of the log; 0 without one.
 */
export type DurableListener = (durableEnd: number, begunAt: number) => void;

export interface SegmentedLogOptions {
  disk: Disk;
  /** The folder that is this log's own. Made when it does not exist. */
  directory: string;
  /** What this log is, for people: `cluster 1 log stream 3 data`. Another one is refused at the next opening. */
  label: string;
  /** What to do where it is damaged, for people. Default: rebuild this replica from another one. */
  remedy?: string;
  /** A new file is begun when one has this many bytes. Default 64 MiB. */
  segmentBytes?: number;
  /** Whether its newest file stays open between uses. Default true: a log that is seldom written to needs none. */
  staysOpen?: boolean;
  /** So many bytes of the newest frames stay in memory. Default 4 MiB. */
  tailCacheBytes?: number;
  /** Memory that those of several logs share: each of them may hold less then. */
  cacheBudget?: CacheBudget;
  /** Called once, when writing failed: the log takes nothing more. */
  onFailure?: (error: VarlogError) => void;
  /** With it a full disk is waited out: see `SegmentedLog.full`. Without, it is a failure as any other. */
  clock?: Clock;
  /** Called when the disk is full, and with `undefined` when there is room again. */
  onFull?: (error: VarlogError | undefined) => void;
}
