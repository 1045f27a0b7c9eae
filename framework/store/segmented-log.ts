import { assert, type VarlogError, Waiters } from '../base/index.ts';
import { type Frame, frameBytes } from './frame.ts';
import { FullDisk } from './full-disk.ts';
import { cancelled, closed, failed, REBUILD, trimmed } from './log-errors.ts';
import type { LogFiles } from './log-files.ts';
import { openLogFiles } from './recovery.ts';
import type { DurableListener, SegmentedLogOptions } from './segmented-log-options.ts';
import type { Stretch } from './stretches.ts';
import { TailCache } from './tail-cache.ts';
import { type Batch, WorkQueue } from './work-queue.ts';

const GROUP_BYTES_MAX = 8 * 1024 * 1024;
/** So much of what may wait is kept in memory. */
const GATHERED_BYTES_MAX = 64 * 1024;

/**
 * A durable log of frames with group commit: while one write and its fdatasync are in flight, what
 * is appended gathers, and leaves together when they are done. Frames cover dense positions.
 *
 * All methods take effect on `first`, `end` and on reads at once and in the order of the calls; the
 * promises tell when that is durable. A failed write or sync is final: the log never tries again,
 * rejects everything with `DISK_FAILED`, and still serves reads up to `durableEnd`. A full disk is no
 * failure, as long as nothing is in doubt: what was appended waits until there is room.
 */
export class SegmentedLog {
  private readonly options: SegmentedLogOptions;
  private listener: DurableListener | undefined;
  private readonly files: LogFiles;
  private readonly cache: TailCache;
  private readonly queue = new WorkQueue();
  /** For a position to become durable. */
  private readonly waiters = new Waiters<number>();
  private firstPosition: number;
  private endPosition: number;
  private durablePosition: number;
  private announced: number;
  /** When the write began that is under way, or was last. */
  private begunAt = 0;
  /** Frames up to here can be read from the files. */
  private written: number;
  /** Bytes of the frames that are being written. */
  private writingBytes = 0;
  private pumping = false;
  /** Grows when positions are taken away: what a reader then brings from the files is outdated. */
  private revision = 0;
  private failure: VarlogError | undefined;
  private readonly disk: FullDisk;
  private closing: Promise<void> | undefined;

  private constructor(options: SegmentedLogOptions, files: LogFiles) {
    this.options = options;
    this.files = files;
    this.disk = new FullDisk(options, () => {
      this.exclusive(Infinity, () => this.files.prepare()).catch(() => {});
    });
    this.cache = new TailCache(options.tailCacheBytes ?? 4 * 1024 * 1024, options.cacheBudget);
    this.firstPosition = files.first;
    this.endPosition = files.end;
    this.durablePosition = files.end;
    this.announced = files.end;
    this.written = files.end;
  }

  /**
   * Opens the log in a folder, or makes one. What it then holds is durable. Throws `CORRUPT` when what was durable is
   * damaged or missing in the newest segment (older ones are checked as they are read), and
   * `IDENTITY_MISMATCH` when the folder holds another log.
   */
  static async open(options: SegmentedLogOptions): Promise<SegmentedLog> {
    const { disk, directory, label, remedy = REBUILD } = options;
    const { segmentBytes = 64 * 1024 * 1024, staysOpen = true } = options;
    const place = { disk, directory, label, remedy, segmentBytes, staysOpen };
    const files = await openLogFiles(place);
    return new SegmentedLog(options, files);
  }

  /** The first position that is kept; `end + 1` when the log is empty. */
  get first(): number {
    return this.firstPosition;
  }

  /** The last position appended; `first - 1` when the log is empty, so 0 for a new one. */
  get end(): number {
    return this.endPosition;
  }

  /** The last position known durable. */
  get durableEnd(): number {
    return this.durablePosition;
  }

  /** The first position of the newest segment: of older ones, opening the log reads nothing. */
  get newestSegment(): number {
    return this.files.newestSegment;
  }

  /** From here on, {@link read} answers from memory. */
  get recent(): number {
    return this.cache.first;
  }

  /** Bytes of its frames on the disk, with what belongs to them; no disk is asked for it. */
  get bytes(): number {
    return this.files.bytes;
  }

  /** Bytes appended and not yet durable. Whoever appends keeps this in bounds. */
  get pendingBytes(): number {
    return this.queue.bytes + this.writingBytes;
  }

  /**
   * While the disk has no room: what to refuse appends with, `notAppended`. What is appended all the same waits until
   * there is room, with what was appended before; reads and {@link trimHead} go on.
   */
  get full(): VarlogError | undefined {
    return this.disk.error;
  }

  /** Resolves as soon as the disk is {@link full}, or when `signal` is aborted: what waits then may wait for ever. */
  filled(signal: AbortSignal): Promise<void> {
    return this.disk.filled(signal);
  }

  /** Has the one who works with this log told what became durable. Once, before anything is appended. */
  onDurable(listener: DurableListener): void {
    assert(this.listener === undefined, 'a log tells one listener');
    this.listener = listener;
  }

  /**
   * Takes frames that continue the log at `end + 1`. Returns at once; {@link onDurable} tells when
   * they are durable. With `sync: false` they gather in memory, and are written and durable with the next frames
   * that need not wait, with {@link flush}, or once they are many.
   */
  append(frames: readonly Frame[], options?: { sync?: boolean }): void {
    this.refuseUnlessOpen();
    let next = this.endPosition + 1;
    for (const frame of frames) {
      assert(frame.position === next, `frame ${frame.position} continues the log at ${next}`);
      assert(frame.count > 0, 'a frame covers a position');
      next += frame.count;
    }
    for (const frame of frames) this.cache.push(frame);
    this.endPosition = next - 1;
    const isDue = options?.sync !== false || this.queue.bytes >= GATHERED_BYTES_MAX;
    this.queue.addFrames(frames, isDue);
    this.cache.evict(this.written);
    if (isDue) this.wake();
  }

  /** Resolves when everything appended so far is durable. */
  flush(): Promise<void> {
    if (this.durablePosition < this.endPosition && this.failure === undefined) {
      this.refuseUnlessOpen();
      this.queue.addFrames([], true);
      this.wake();
    }
    return this.flushed(this.endPosition);
  }

  /**
   * Resolves when everything up to `position` is durable. Rejects with `DISK_FAILED` when it cannot
   * become so, with `CANCELLED` when the position is cut off before.
   */
  flushed(position: number): Promise<void> {
    if (position <= this.durablePosition) return Promise.resolve();
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return this.waiters.wait(position);
  }

  /**
   * Frames from the one that contains `from` on, about `bytesMax` payload bytes, at least one if
   * there is any; also those that are not durable yet. An array when the newest frames in memory
   * have it, a promise when the disk must be asked. Throws (or rejects with) `TRIMMED` below
   * {@link first} and `CORRUPT` when the file does not hold what was written.
   */
  read(from: number, bytesMax: number): Frame[] | Promise<Frame[]> {
    return this.readMemory(from, bytesMax) ?? this.readFiles(from, this.readableEnd, bytesMax);
  }

  /** What {@link read} returns at once; `undefined` where it has to ask the disk. */
  readMemory(from: number, bytesMax: number): Frame[] | undefined {
    if (this.closing !== undefined) throw closed(this.options);
    if (from < this.firstPosition) throw trimmed(this.options, from, this.firstPosition);
    if (from > this.readableEnd) return [];
    return this.cache.read(from, this.readableEnd, bytesMax);
  }

  private get readableEnd(): number {
    return this.failure === undefined ? this.endPosition : this.durablePosition;
  }

  /** The first position of each file, ascending: where `findFrame` begins. */
  get starts(): readonly number[] {
    return this.files.starts;
  }

  /**
   * What it has on the disk, in the pieces in which {@link trimHead} frees it, ascending; at least one. The first one
   * may begin below {@link first}.
   */
  async stretches(): Promise<Stretch[]> {
    if (this.closing !== undefined) throw closed(this.options);
    return this.files.stretches();
  }

  /**
   * Removes everything after `end`, which must be the end of a frame (or of the dropped head).
   * Durable when this resolves; what is removed never comes back.
   */
  truncateTail(end: number): Promise<void> {
    this.refuseUnlessOpen();
    assert(end >= this.firstPosition - 1 && end <= this.endPosition, `${end} is in the log`);
    this.forgetBehind(end);
    const cut = async (): Promise<void> => {
      if (this.files.end <= end && !this.files.isTorn) return;
      await this.files.cut(Math.min(end, this.files.end));
      this.noteSynced();
    };
    return this.exclusive(end, cut, () => true);
  }

  /** Drops everything below `first` (at most `end + 1`) and frees whole segments. Durable when this resolves. */
  trimHead(first: number): Promise<void> {
    this.refuseUnlessOpen();
    assert(first <= this.endPosition + 1, `${first} is at most one behind the end`);
    if (first > this.firstPosition) {
      this.revision++;
      this.firstPosition = first;
      this.cache.trim(first);
    }
    const trim = async (to: number): Promise<void> => {
      if (to <= this.files.first) return;
      // A reset behind this one took away frames that were to be written: nothing there is kept.
      if (this.files.end < to - 1) return this.files.reset(to);
      await this.files.trim(to, this.durablePosition);
    };
    const inFiles = this.durablePosition + 1;
    // On a full disk: frames that wait for room would wait for what is freed here.
    const makeRoom = async (): Promise<void> => this.full && trim(inFiles);
    if (first > inFiles) this.exclusive(Infinity, makeRoom, () => true).catch(() => {});
    return this.exclusive(
      Infinity,
      () => trim(first),
      () => first - 1 <= this.durablePosition,
    );
  }

  /** Drops everything; the next frame is `first`. Durable when this resolves. */
  reset(first: number): Promise<void> {
    this.refuseUnlessOpen();
    assert(Number.isSafeInteger(first) && first >= 1, `${first} is a position`);
    this.forgetBehind(0);
    this.firstPosition = first;
    this.endPosition = first - 1;
    this.written = first - 1;
    return this.exclusive(0, async () => {
      await this.files.reset(first);
      this.noteSynced();
    });
  }

  /** Makes durable what was appended, and closes the files. Takes nothing more from the call on. */
  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  private async finish(): Promise<void> {
    this.disk.stop();
    // What waits for room is not waited for.
    if (this.disk.isAwaited) this.giveUp(closed(this.options));
    this.disk.retry();
    if (this.failure === undefined) {
      await this.exclusive(Infinity, () => this.files.saveDurableEnd(this.durablePosition)).catch(
        () => {},
      );
    }
    await this.files.close().catch(() => {});
    this.cache.close();
  }

  private async readFiles(from: number, through: number, bytesMax: number): Promise<Frame[]> {
    const { revision } = this;
    // Frames that are not in the files yet are in the cache.
    const last = Math.min(through, this.cache.first - 1);
    try {
      const frames = await this.files.read(from, last, bytesMax);
      if (revision === this.revision) return frames;
    } catch (error) {
      if (revision === this.revision) throw error;
    }
    return this.read(from, bytesMax);
  }

  private exclusive(
    keeps: number,
    run: () => Promise<void>,
    mayOvertake?: () => boolean,
  ): Promise<void> {
    const done = this.queue.addTask(keeps, run, mayOvertake);
    // It may make room.
    this.disk.retry();
    this.wake();
    return done;
  }

  private wake(): void {
    if (this.pumping) return;
    this.pumping = true;
    void this.pump();
  }

  /** Does what is queued, one after the other. Ends when nothing is left. */
  private async pump(): Promise<void> {
    // What the caller appends in the same breath goes into the first group.
    await undefined;
    while (this.failure === undefined) {
      if (this.disk.error !== undefined) this.queue.overtake();
      const { next } = this.queue;
      if (next === undefined || this.queue.gathers) break;
      try {
        if (next.kind === 'batch') {
          this.begunAt = this.options.clock?.now() ?? 0;
          await this.writeGroup(next);
        } else {
          this.queue.shift();
          await next.run();
          next.resolve();
        }
      } catch (error) {
        if (this.disk.mayWaitAfter(error)) {
          if (next.kind === 'task') this.queue.putBack(next);
          await this.disk.room(error);
          continue;
        }
        this.fail(error);
        if (next.kind === 'task') next.reject(this.failure);
        break;
      }
      // Not in the try block: an error of the listener is none of the disk.
      this.disk.note(this.files.full);
      this.announce();
    }
    this.pumping = false;
  }

  /** Writes what fits of the batch at the head of the queue, or first makes room for it. */
  private async writeGroup(batch: Batch): Promise<void> {
    const next = batch.frames[0];
    if (next !== undefined && this.files.mustRollFor(frameBytes(next))) return this.files.roll();
    const limit = Math.min(GROUP_BYTES_MAX, this.files.room);
    const { frames, bytes } = this.queue.take(batch, limit);
    if (frames.length === 0) return;
    this.writingBytes = bytes;
    try {
      await this.files.write(frames, this.durablePosition);
    } catch (error) {
      if (this.disk.mayWaitAfter(error)) this.queue.putBackFrames(frames, batch.sync);
      throw error;
    } finally {
      this.writingBytes = 0;
    }
    this.written = Math.max(this.written, Math.min(this.files.end, this.queue.keeps));
    this.noteSynced();
    this.cache.evict(this.written);
  }

  private noteSynced(): void {
    const reached = Math.min(this.files.end, this.queue.keeps);
    this.durablePosition = Math.max(this.durablePosition, reached);
  }

  private announce(): void {
    const end = this.durablePosition;
    if (end <= this.announced) return;
    this.announced = end;
    this.listener?.(end, this.begunAt);
    if (this.waiters.size > 0) this.waiters.resolve((position) => position <= end);
  }

  /** Takes away what lies after `end`, as far as memory goes. */
  private forgetBehind(end: number): void {
    this.revision++;
    this.endPosition = end;
    this.durablePosition = Math.min(this.durablePosition, end);
    this.announced = Math.min(this.announced, end);
    this.written = Math.min(this.written, end);
    this.cache.cut(end);
    this.queue.cut(end);
    this.waiters.reject(
      (position) => position > end,
      (position) => cancelled(this.options, position),
    );
  }

  private fail(cause: unknown): void {
    const failure = failed(this.options, cause);
    this.giveUp(failure);
    this.options.onFailure?.(failure);
  }

  private giveUp(failure: VarlogError): void {
    this.failure = failure;
    this.queue.fail(failure);
    this.waiters.stop(failure);
  }

  private refuseUnlessOpen(): void {
    if (this.failure !== undefined) throw this.failure;
    if (this.closing !== undefined) throw closed(this.options);
  }
}
