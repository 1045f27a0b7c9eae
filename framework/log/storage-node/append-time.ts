import { type Clock, VarlogError } from '../../base/index.ts';
import type { SegmentedLog } from '../../store/index.ts';

/**
 * When the batches of a log stream were appended: the primary's wall clock, which it gives to its backups with the
 * batch, and never earlier than that of the batch before, whoever was primary then. No safety rests on it.
 */
export class AppendTime {
  private readonly clock: Clock;
  private last = 0;

  private constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Goes on after the last batch that a log holds. */
  static async behind(records: SegmentedLog, clock: Clock): Promise<AppendTime> {
    const time = new AppendTime(clock);
    if (records.end < records.first) return time;
    try {
      const [last] = await records.read(records.end, 1);
      time.note(last?.timestamp ?? 0);
    } catch (error) {
      // Whoever reads that batch hears of it; for what comes, the clock is good enough.
      if (!VarlogError.is(error, 'CORRUPT')) throw error;
    }
    return time;
  }

  /** Timestamp of the next batch: whole milliseconds since 1970. */
  next(): number {
    this.note(Math.floor(this.clock.wall()));
    return this.last;
  }

  /** No batch of the log stream has a later timestamp; 0 where none is known. */
  get latest(): number {
    return this.last;
  }

  /** A batch of the log stream has this time; 0 where none is known. */
  note(timestamp: number): void {
    this.last = Math.max(this.last, timestamp);
  }
}
