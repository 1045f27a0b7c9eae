import type { Frame, SegmentedLog } from '../../store/index.ts';
import type { RecordSource } from './record-source.ts';

/** The records that are on this node's disk. */
export class LocalRecords implements RecordSource {
  private readonly records: SegmentedLog;
  private readonly watched: <T>(read: Promise<T>) => Promise<T>;

  /** `watched` passes on what is read from the disk, and sees to what cannot be. */
  constructor(records: SegmentedLog, watched: <T>(read: Promise<T>) => Promise<T>) {
    this.records = records;
    this.watched = watched;
  }

  get first(): number {
    return this.records.first;
  }

  read(from: number, bytesMax: number): Frame[] | Promise<Frame[]> {
    const read = this.records.read(from, bytesMax);
    return Array.isArray(read) ? read : this.watched(read);
  }

  firstSince(timestamp: number, through: number): Promise<Frame | undefined> {
    const isSince = (frame: Frame): boolean => (frame.timestamp ?? 0) >= timestamp;
    return this.watched(this.records.find(through, isSince));
  }
}
