import { costOf, type EntryBatch, endOf } from './core/index.ts';

/** Entries up to a snapshot that stay for members that lag a little. */
export interface RetentionOptions {
  /** Default 10,000. */
  readonly entries?: number;
  /** Default 64 MiB. */
  readonly bytes?: number;
}

const ENTRIES = 10_000;
const BYTES = 64 * 1024 * 1024;
/** A place in the log is noted once for so many bytes, or parts of what is retained. */
const MARK_BYTES_MAX = 64 * 1024;
const MARKS_MAX = 16_384;

/** Knows how many bytes the entries of the log take, roughly, and so how many of them to keep. */
export class Retention {
  private readonly entries: number;
  private readonly bytes: number;
  /** Ends of batches, ascending, with all bytes up to there. */
  private readonly marks: { index: number; total: number }[] = [];
  private total = 0;

  constructor({ entries = ENTRIES, bytes = BYTES }: RetentionOptions = {}) {
    this.entries = entries;
    this.bytes = bytes;
  }

  note(batch: EntryBatch): void {
    while (this.marks.length > 0 && this.marks.at(-1)!.index >= batch.index) {
      this.marks.pop();
      this.total = this.marks.at(-1)?.total ?? 0;
    }
    this.total += costOf(batch);
    const step = Math.min(MARK_BYTES_MAX, this.bytes / 4);
    if (this.total - (this.marks.at(-1)?.total ?? -Infinity) < step) return;
    this.marks.push({ index: endOf(batch), total: this.total });
    // When nobody compacts the log, the oldest marks are forgotten.
    if (this.marks.length > MARKS_MAX) this.marks.splice(0, MARKS_MAX / 2);
  }

  /** Up to where entries may go when a snapshot stands for those up to `index`. */
  baseFor(index: number): number {
    const { marks } = this;
    const at = marks.findLast((it) => it.index <= index)?.total ?? this.total;
    const heavy = marks.findLast((it) => it.index <= index && at - it.total >= this.bytes);
    const base = Math.max(index - this.entries, heavy?.index ?? 0, 0);
    let gone = 0;
    while (gone + 1 < marks.length && marks[gone + 1]!.index <= base) gone++;
    marks.splice(0, gone);
    return base;
  }
}
