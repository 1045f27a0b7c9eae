import { type Frame, findFrame, type SegmentedLog } from '../../store/index.ts';
import type { RecordSource } from './record-source.ts';

/** The records that are on this node's disk. */
export class LocalRecords implements RecordSource {
  private readonly records: SegmentedLog;
  private readonly fromDisk: <T>(read: () => T | Promise<T>) => Promise<T>;

  /** `fromDisk` has the disk read when its turn comes, and sees to what cannot be read. */
  constructor(records: SegmentedLog, fromDisk: <T>(read: () => T | Promise<T>) => Promise<T>) {
    this.records = records;
    this.fromDisk = fromDisk;
  }

  get first(): number {
    return this.records.first;
  }

  read(from: number, bytesMax: number): Frame[] | Promise<Frame[]> {
    const { records } = this;
    return records.readMemory(from, bytesMax) ?? this.fromDisk(() => records.read(from, bytesMax));
  }

  get starts(): readonly number[] {
    return this.records.starts;
  }

  /** Each read of the search has a turn of its own. */
  firstSince(timestamp: number, through: number): Promise<Frame | undefined> {
    return findFrame(this, through, (frame) => (frame.timestamp ?? 0) >= timestamp);
  }
}
