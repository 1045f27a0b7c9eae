import { type Clock, type Disk, VarlogError } from '../base/index.ts';
import type { Frame } from './frame.ts';
import { JournalLog } from './journal-log.ts';
import { type Place, placeOf } from './journal-places.ts';
import {
  decodeRecord,
  encodeFrameRecord,
  encodeStateRecord,
  type StateRecord,
} from './journal-record.ts';
import { closed, failed } from './log-errors.ts';
import { SegmentedLog } from './segmented-log.ts';

const SEGMENT_BYTES = 64 * 1024 * 1024;
const TAIL_CACHE_BYTES = 16 * 1024 * 1024;
const SCAN_BYTES = 4 * 1024 * 1024;
/** A journal may have so many times the bytes that its logs have. */
const WASTE_MAX = 4;

/**
 * Many logs in one file after the other, so that one fdatasync serves them all. Each log knows in memory where
 * its frames lie. Old files go when no log has anything in them; a log that keeps one from going
 * for too long is written again at the end (as in Bitcask, Sheehy and Smith 2010).
 */
export class Journal {
  private readonly log: SegmentedLog;
  private readonly name: { disk: Disk; directory: string; label: string };
  private readonly segmentBytes: number;
  private readonly logs = new Map<number, JournalLog>();
  private readonly opened = new Set<JournalLog>();
  /** What becomes durable with which record, oldest first. */
  private awaited: { record: number; log: JournalLog; end: number }[] = [];
  private lastNumber = 0;
  /** Bytes taken since this journal was opened, and the beginning of what is kept. */
  private taken = 0;
  private kept = 0;
  private shrinking: Promise<void> | undefined;
  failure: VarlogError | undefined;

  private constructor(log: SegmentedLog, name: Journal['name'], segmentBytes: number) {
    this.log = log;
    this.name = name;
    this.segmentBytes = segmentBytes;
  }

  /** Opens the journal in a folder, or makes one. Rejects as {@link SegmentedLog.open} does. */
  static async open(options: {
    disk: Disk;
    directory: string;
    label: string;
    /** As that of a {@link SegmentedLog}. */
    remedy?: string;
    /** Default 64 MiB. */
    segmentBytes?: number;
    /** Bytes of the newest records that stay in memory. Default 16 MiB. */
    tailCacheBytes?: number;
    /** As those of a {@link SegmentedLog}. */
    clock?: Clock;
    onFull?: (error: VarlogError | undefined) => void;
  }): Promise<Journal> {
    const { segmentBytes = SEGMENT_BYTES, tailCacheBytes = TAIL_CACHE_BYTES } = options;
    let fail = (_error: VarlogError): void => {};
    const log = await SegmentedLog.open({
      ...options,
      segmentBytes,
      tailCacheBytes,
      onFailure: (error) => fail(error),
    });
    const { disk, directory, label } = options;
    const journal = new Journal(log, { disk, directory, label }, segmentBytes);
    try {
      await journal.restore();
    } catch (error) {
      await log.close();
      throw error;
    }
    fail = (error) => journal.fail(error);
    log.onDurable((record) => journal.reached(record));
    return journal;
  }

  /** The labels of the logs that are in it. */
  get labels(): string[] {
    return [...this.logs.values()].map((it) => it.label);
  }

  /** Where it lies. */
  get directory(): string {
    return this.name.directory;
  }

  /** Handed over, and not yet durable. */
  get pendingBytes(): number {
    return this.log.pendingBytes;
  }

  /** As {@link SegmentedLog.full}. */
  get full(): VarlogError | undefined {
    return this.log.full;
  }

  /** As {@link SegmentedLog.filled}. */
  filled(signal: AbortSignal): Promise<void> {
    return this.log.filled(signal);
  }

  /** Bytes between the oldest record that is needed and the end. */
  get bytes(): number {
    return this.taken - this.kept;
  }

  /**
   * The log of this label; a new one when there is none. Rejects with `DIRECTORY_IN_USE` when it is
   * open already. `onFailure` is called once, when the journal failed.
   */
  async open(
    label: string,
    onFailure: (error: VarlogError) => void = () => {},
  ): Promise<JournalLog> {
    if (this.failure !== undefined) throw this.failure;
    let log = [...this.logs.values()].find((it) => it.label === label);
    if (log !== undefined && this.opened.has(log)) {
      throw new VarlogError('DIRECTORY_IN_USE', {
        what: `the ${label} in ${this.name.disk.pathOf(this.directory)} is open already`,
        next: 'close it first',
      });
    }
    if (log === undefined) {
      log = new JournalLog(this, ++this.lastNumber, label);
      this.logs.set(log.number, log);
      this.opened.add(log);
      await log.reset(1);
    }
    this.opened.add(log);
    log.opened(onFailure);
    return log;
  }

  async close(): Promise<void> {
    await this.log.close();
    await this.shrinking;
    // What waited for room will not be durable.
    for (const log of this.logs.values()) log.fail(this.failure ?? closed(this.name));
  }

  add(log: JournalLog, frame: Frame, moved: boolean): Place {
    const offset = this.taken;
    const record = encodeFrameRecord(log.number, frame, moved);
    return placeOf(frame, this.append(record, frame.timestamp ?? 0), offset);
  }

  addState(record: Omit<StateRecord, 'kind'>): { record: number; offset: number } {
    const offset = this.taken;
    return { record: this.append(encodeStateRecord(record), 0), offset };
  }

  /** Tells the log when it is durable up to `end`. */
  expect(log: JournalLog, end: number): void {
    this.awaited.push({ record: this.log.end, log, end });
  }

  /** The log was cut: what is awaited reaches no further. */
  clamp(log: JournalLog, end: number): void {
    for (const it of this.awaited) if (it.log === log) it.end = Math.min(it.end, end);
  }

  /** Resolves when everything that was handed over is durable. */
  flushed(): Promise<void> {
    return this.log.flushed(this.log.end);
  }

  /** Records from here on are read from memory. */
  get recent(): number {
    return this.log.recent;
  }

  readRecord(record: number, bytesMax: number): Frame[] | Promise<Frame[]> {
    return this.log.read(record, bytesMax);
  }

  leave(log: JournalLog): void {
    this.opened.delete(log);
  }

  private append(payload: Uint8Array, timestamp: number): number {
    const position = this.log.end + 1;
    this.log.append([{ position, count: 1, epoch: 0, timestamp, payload }]);
    this.taken += payload.length;
    return position;
  }

  private reached(record: number): void {
    let done = 0;
    const ends = new Map<JournalLog, number>();
    for (; done < this.awaited.length && this.awaited[done]!.record <= record; done++) {
      const { log, end } = this.awaited[done]!;
      ends.set(log, end);
    }
    this.awaited.splice(0, done);
    for (const [log, end] of ends) log.reached(end);
    if (this.bytes >= 2 * this.segmentBytes) {
      this.shrinking ??= this.shrink()
        .catch((error: unknown) => {
          if (!VarlogError.is(error, 'CLOSED')) this.fail(failed(this.name, error));
        })
        .finally(() => {
          this.shrinking = undefined;
        });
    }
  }

  /** Lets go of old files, and writes again what keeps too many of them. */
  private async shrink(): Promise<void> {
    for (;;) {
      let oldest: JournalLog | undefined;
      let at = { record: this.log.end + 1, offset: this.taken };
      let live = 0;
      for (const log of this.logs.values()) {
        live += log.places.bytes;
        for (const place of [log.places.oldest, log.stateAt]) {
          if (place !== undefined && place.record < at.record) {
            at = place;
            oldest = log;
          }
        }
      }
      if (at.offset - this.kept >= this.segmentBytes) {
        // What says that the rest is not needed must be there first.
        await this.flushed();
        this.kept = at.offset;
        await this.log.trimHead(at.record);
      }
      const allowed = Math.max(2 * this.segmentBytes, WASTE_MAX * live);
      if (oldest === undefined || this.taken - at.offset <= allowed) return;
      await oldest.move();
    }
  }

  /** It fails, also for a reason of its user's: all its logs are told, and take nothing more. */
  fail(error: VarlogError): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    for (const log of this.logs.values()) log.fail(error);
  }

  private async restore(): Promise<void> {
    const moved = new Map<JournalLog, Place[]>();
    for (let next = this.log.first; next <= this.log.end; ) {
      for (const stored of await this.log.read(next, SCAN_BYTES)) {
        this.restoreRecord(stored, moved);
        this.taken += stored.payload.length;
        next = stored.position + 1;
      }
    }
    for (const log of this.logs.values()) log.restored();
  }

  private restoreRecord(stored: Frame, moved: Map<JournalLog, Place[]>): void {
    const { position: number } = stored;
    const record = decodeRecord(stored, this.name.disk.pathOf(this.directory));
    const log = this.logs.get(record.log) ?? new JournalLog(this, record.log, '');
    this.logs.set(record.log, log);
    this.lastNumber = Math.max(this.lastNumber, record.log);
    if (record.kind === 'state') {
      log.restoreState(record, { record: number, offset: this.taken });
      if (record.movedFrom > 0) {
        const places = moved.get(log) ?? [];
        log.places.move(
          places.filter((it) => it.record >= record.movedFrom),
          record.first,
        );
        moved.delete(log);
      }
    } else {
      const place = placeOf(record.frame, number, this.taken);
      if (record.moved) {
        moved.set(log, moved.get(log) ?? []);
        moved.get(log)!.push(place);
      } else {
        log.places.push(place);
        log.restoreFrame(record.frame);
      }
    }
  }
}
