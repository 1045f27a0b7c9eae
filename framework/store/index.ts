/**
 * The durable structures that everything here stands on, over the Disk port: a segmented,
 * checksummed, append-only log with group commit, and a small value that is replaced atomically.
 *
 * ```ts
 * const log = await SegmentedLog.open({ disk, directory: 'streams/3/data', label: 'log stream 3 data' });
 * log.onDurable((end) => report(end));
 * log.append([{ position: log.end + 1, count: 2, epoch: 1, payload: batch.bytes }]);
 * await log.flushed(log.end);
 * for (const frame of await log.read(log.first, 128 * 1024)) use(frame.payload);
 * await log.trimHead(2);
 * await log.close();
 * ```
 *
 * What is reported durable survives a power loss. Torn ends are cut when a log is opened; damage
 * anywhere else is a `CORRUPT` error, never a silent cut. A sector that was synced is taken to stay
 * whole while it is written again: it then has its old or its new bytes, as disks promise.
 *
 * A full disk is no failure as far as nothing durable is in doubt: with a `clock`, a log then says so (`full`, `onFull`),
 * keeps what was appended until there is room, and goes on automatically. Reading and `trimHead` work meanwhile.
 *
 * It does not bound what is appended but not yet durable (see `pendingBytes`), does not look into
 * payloads, does not repair damage, and does not check old segments until they are read.
 */
export { readReplaced, replaceFile, replaceFileBy } from './atomic-file.ts';
export { crc32c, crc32cShift } from './crc32c.ts';
export { DirectoryIdentity, type DirectoryOwner } from './directory-identity.ts';
export { DiskGuard } from './disk-guard.ts';
export { FolderWatch, type WatchedFolder } from './folder-watch.ts';
export { type Frame, frameEnd, getUint64, setUint64, viewOf } from './frame.ts';
export { findFrame } from './frame-search.ts';
export { unlessFull } from './full-disk.ts';
export { Journal } from './journal.ts';
export type { JournalLog } from './journal-log.ts';
export { decodeJsonValue, jsonFormat } from './json-value.ts';
export { leadingNumber } from './leading-number.ts';
export { ReadOnlyDisk, type TornEnd } from './read-only-disk.ts';
export { SegmentedLog } from './segmented-log.ts';
export type { SegmentedLogOptions } from './segmented-log-options.ts';
export { StateFile, type ValueFormat } from './state-file.ts';
export {
  checkStateHeader,
  encodeStateHeader,
  labelOfStateFile,
  STATE_HEADER_BYTES,
  valueOffsetOf,
} from './state-header.ts';
export type { Stretch } from './stretches.ts';
export { CacheBudget } from './tail-cache.ts';
export { syncTimes, timeSyncs } from './timed-syncs.ts';
export { WriteAheadDisk, type WriteAheadOptions } from './write-ahead-disk.ts';
