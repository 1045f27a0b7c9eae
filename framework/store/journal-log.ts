import { assert, VarlogError, Waiters } from '../base/index.ts';
import { type Frame, frameEnd } from './frame.ts';
import { unlessFull } from './full-disk.ts';
import { type Place, Places } from './journal-places.ts';
import { decodeRecord, type StateRecord } from './journal-record.ts';
import { cancelled, trimmed } from './log-errors.ts';
import type { DurableListener } from './segmented-log-options.ts';

const READ_BYTES = 256 * 1024;

/** What a journal does for each of its logs. */
export interface SharedRecords {
  readonly directory: string;
  readonly pendingBytes: number;
  readonly full: VarlogError | undefined;
  filled(signal: AbortSignal): Promise<void>;
  readonly failure: VarlogError | undefined;
  /** Records from here on are read from memory. */
  readonly recent: number;
  add(log: JournalLog, frame: Frame, moved: boolean): Place;
  addState(record: Omit<StateRecord, 'kind'>): { record: number; offset: number };
  /** Tells the log when it is durable up to `end`. */
  expect(log: JournalLog, end: number): void;
  /** The log was cut: what is awaited reaches no further. */
  clamp(log: JournalLog, end: number): void;
  /** Resolves when everything that was handed over is durable. */
  flushed(): Promise<void>;
  readRecord(record: number, bytesMax: number): Frame[] | Promise<Frame[]>;
  leave(log: JournalLog): void;
}

/**
 * One of the logs in a `Journal`: it behaves as a {@link SegmentedLog} of its own would, and keeps a small
 * value beside its frames.
 */
export class JournalLog {
  readonly number: number;
  readonly places = new Places();
  label: string;
  /** The record with the newest state, and how many bytes the journal had taken before it. */
  stateAt = { record: 0, offset: 0 };
  private readonly journal: SharedRecords;
  private listener: DurableListener | undefined;
  private failed: (error: VarlogError) => void = () => {};
  private firstPosition = 1;
  private endPosition = 0;
  private durablePosition = 0;
  private current: Uint8Array | undefined;
  /** For a position to become durable. */
  private readonly waiters = new Waiters<number>();
  /** Grows when positions are taken away or moved: what a reader then brings is outdated. */
  private revision = 0;
  /** The end went back: what is being moved is not this log any more. */
  private cuts = 0;

  constructor(journal: SharedRecords, number: number, label: string) {
    this.journal = journal;
    this.number = number;
    this.label = label;
  }

  /** Somebody works with this log now, and hears of it when the journal fails. */
  opened(onFailure: (error: VarlogError) => void): void {
    this.failed = onFailure;
  }

  /** Where the journal lies. */
  get directory(): string {
    return this.journal.directory;
  }

  get first(): number {
    return this.firstPosition;
  }

  get end(): number {
    return this.endPosition;
  }

  get durableEnd(): number {
    return this.durablePosition;
  }

  /** Bytes of the whole journal that are not written yet. */
  get pendingBytes(): number {
    return this.journal.pendingBytes;
  }

  /** As {@link SegmentedLog.full}, for the whole journal. */
  get full(): VarlogError | undefined {
    return this.journal.full;
  }

  /** As {@link SegmentedLog.filled}, for the whole journal. */
  filled(signal: AbortSignal): Promise<void> {
    return this.journal.filled(signal);
  }

  /** The small value as last written. */
  get value(): Uint8Array | undefined {
    return this.current;
  }

  /** Replaces the small value. Durable when this resolves. */
  write(value: Uint8Array): Promise<void> {
    this.current = value;
    return this.writeState();
  }

  /** As {@link SegmentedLog.onDurable}. */
  onDurable(listener: DurableListener): void {
    assert(this.listener === undefined, 'a log tells one listener');
    this.listener = listener;
  }

  append(frames: readonly Frame[]): void {
    for (const frame of frames) {
      assert(frame.position === this.endPosition + 1, `${frame.position} continues the log`);
      this.places.push(this.journal.add(this, frame, false));
      this.endPosition = frameEnd(frame);
    }
    this.journal.expect(this, this.endPosition);
  }

  flushed(position: number): Promise<void> {
    if (position <= this.durablePosition) return Promise.resolve();
    if (this.journal.failure !== undefined) return Promise.reject(this.journal.failure);
    return this.waiters.wait(position);
  }

  read(from: number, bytesMax: number): Frame[] | Promise<Frame[]> {
    if (from < this.firstPosition) throw trimmed(this, from, this.firstPosition);
    const through = this.journal.failure === undefined ? this.endPosition : this.durablePosition;
    if (from > through) return [];
    const found: Frame[] = [];
    let bytes = 0;
    for (const place of this.places.from(from)) {
      bytes += place.bytes;
      if (place.position > through || (found.length > 0 && bytes > bytesMax)) break;
      if (place.record < this.journal.recent) break;
      const [record] = this.journal.readRecord(place.record, 1) as Frame[];
      found.push(frameIn(record, this));
    }
    return found.length > 0 ? found : this.readFiles(from, bytesMax);
  }

  truncateTail(end: number): Promise<void> {
    assert(end >= this.firstPosition - 1 && end <= this.endPosition, `${end} is in the log`);
    assert(this.places.isBoundary(end), `a frame ends at ${end}`);
    if (end === this.endPosition) return Promise.resolve();
    this.forgetBehind(end);
    return this.writeState();
  }

  trimHead(first: number): Promise<void> {
    assert(first <= this.endPosition + 1, `${first} is at most one behind the end`);
    if (first <= this.firstPosition) return Promise.resolve();
    this.revision++;
    this.firstPosition = first;
    this.places.trim(first);
    return this.writeState();
  }

  reset(first: number): Promise<void> {
    this.forgetBehind(0);
    this.firstPosition = first;
    this.endPosition = first - 1;
    this.durablePosition = first - 1;
    return this.writeState();
  }

  /** Forgets everything, the small value too. Durable when this resolves. */
  clear(): Promise<void> {
    this.current = undefined;
    return this.reset(1);
  }

  /** Makes durable what was appended. The journal stays open. */
  async close(): Promise<void> {
    await unlessFull(this, this.flushed(this.endPosition));
    this.listener = undefined;
    this.failed = () => {};
    this.journal.leave(this);
  }

  /** Everything up to `position` became durable. */
  reached(position: number): void {
    const end = Math.min(position, this.endPosition);
    if (end <= this.durablePosition) return;
    this.durablePosition = end;
    this.listener?.(end, 0);
    if (this.waiters.size > 0) this.waiters.resolve((it) => it <= end);
  }

  fail(error: VarlogError): void {
    this.waiters.stop(error);
    this.failed(error);
  }

  /** Writes the whole log once more, at the journal's end, so that its old records can go. */
  async move(): Promise<void> {
    const { cuts, endPosition } = this;
    const moved = [];
    let movedFrom = 0;
    for (let next = this.firstPosition; next <= endPosition; ) {
      const frames = await this.readKept(next);
      if (cuts !== this.cuts) return;
      for (const frame of frames) {
        const place = this.journal.add(this, frame, true);
        movedFrom ||= place.record;
        moved.push(place);
        next = frameEnd(frame) + 1;
      }
      await this.journal.flushed();
      if (cuts !== this.cuts) return;
      next = Math.max(next, this.firstPosition);
    }
    await this.writeState(movedFrom);
    if (cuts !== this.cuts) return;
    this.revision++;
    this.places.move(moved, this.firstPosition);
  }

  /** While a journal is read: what a state record says. */
  restoreState(record: StateRecord, at: { record: number; offset: number }): void {
    this.label = record.label;
    this.current = record.value;
    this.firstPosition = record.first;
    this.endPosition = record.end;
    this.places.trim(record.first);
    this.places.cut(record.end);
    this.stateAt = at;
  }

  /** While a journal is read: a frame whose place was pushed. */
  restoreFrame(frame: Frame): void {
    // The records before this one are gone: the newest state, which is not, says where the log begins.
    if (this.stateAt.record === 0 && this.places.length === 1) this.firstPosition = frame.position;
    this.endPosition = frameEnd(frame);
  }

  /** When a journal was read: everything that is there is durable. */
  restored(): void {
    this.durablePosition = this.endPosition;
    if (this.stateAt.record > 0 && this.places.covers(this.firstPosition, this.endPosition)) return;
    throw new VarlogError('CORRUPT', {
      what: `records of ${this.label === '' ? `log ${this.number}` : this.label} are missing in the journal`,
      because: 'files were removed, or restored from different times',
      next: 'rebuild this member under a new id',
    });
  }

  private writeState(movedFrom = 0): Promise<void> {
    const { number, firstPosition: first, endPosition: end, label, current: value } = this;
    const at = this.journal.addState({ log: number, first, end, movedFrom, label, value });
    return this.journal.flushed().then(() => {
      if (at.record > this.stateAt.record) this.stateAt = at;
    });
  }

  private forgetBehind(end: number): void {
    this.revision++;
    this.cuts++;
    this.endPosition = end;
    this.durablePosition = Math.min(this.durablePosition, end);
    this.places.cut(end);
    this.journal.clamp(this, end);
    this.waiters.reject(
      (it) => it > end,
      (it) => cancelled(this, it),
    );
  }

  /** Frames from `from` on, or from where the log begins meanwhile. */
  private async readKept(from: number): Promise<Frame[]> {
    try {
      return await this.read(Math.max(from, this.firstPosition), READ_BYTES);
    } catch (error) {
      if (VarlogError.is(error, 'TRIMMED')) return this.readKept(from);
      throw error;
    }
  }

  private async readFiles(from: number, bytesMax: number): Promise<Frame[]> {
    const { revision } = this;
    const found: Frame[] = [];
    let bytes = 0;
    let batch: readonly Frame[] = [];
    try {
      for (const place of this.places.from(from)) {
        if (found.length > 0 && bytes + place.bytes > bytesMax) break;
        if ((batch.at(-1)?.position ?? 0) < place.record) {
          // Others' records may lie in between: not more than one run of them for what was asked for.
          if (found.length > 0 && bytes >= bytesMax / 2) break;
          batch = await this.journal.readRecord(place.record, READ_BYTES);
          if (revision !== this.revision) return this.read(from, bytesMax);
        }
        found.push(frameIn(batch[place.record - batch[0]!.position], this));
        bytes += place.bytes;
      }
    } catch (error) {
      if (revision === this.revision) throw error;
      return this.read(from, bytesMax);
    }
    return found;
  }
}

function frameIn(stored: Frame | undefined, { number, directory }: JournalLog): Frame {
  const record = stored === undefined ? undefined : decodeRecord(stored, directory);
  assert(record?.kind === 'frame' && record.log === number, 'a place holds a frame of its log');
  return record.frame;
}
