import type { Disk, DiskFile } from '../base/index.ts';
import { SEGMENT_HEADER_BYTES, SEGMENT_VERSION, type SegmentHeader } from './segment-header.ts';

/** One index entry for so many bytes of a segment. */
const INDEX_BYTES = 64 * 1024;
const NAME = /^(\d{10})-(\d{16})\.segment$/;

/** One file of a log: its header, a sparse index, and the handle while somebody uses it. */
export class Segment {
  readonly path: string;
  /** The same for people. */
  readonly shownPath: string;
  readonly first: number;
  readonly previousFirst: number;
  /** The checksum of the header, which all frames of the file carry. */
  readonly tag: number;
  /** Whether new frames may be added: those of an older version are only read. */
  readonly isCurrent: boolean;
  /** Bytes of the file when it was opened or another one followed it; 0 for a new one. Zeros may be among the last of them. */
  fileBytes = 0;
  /** What does not change once another segment follows: see stretches.ts. */
  size: number | undefined;
  since: number | undefined;
  private readonly disk: Disk;
  /** Frame boundaries, ascending: `positions[i]` begins at `offsets[i]`. Grows as the file is written or walked. */
  private readonly positions: number[];
  private readonly offsets: number[];
  private cutCount = 0;
  private file: Promise<DiskFile> | undefined;
  private users = 0;
  /** A pinned file stays open between uses. */
  private pinned = false;

  constructor(disk: Disk, path: string, header: SegmentHeader & { tag: number }) {
    this.disk = disk;
    this.path = path;
    this.shownPath = disk.pathOf(path);
    this.first = header.first;
    this.previousFirst = header.previousFirst;
    this.tag = header.tag;
    this.isCurrent = header.version === SEGMENT_VERSION;
    this.positions = [header.first];
    this.offsets = [SEGMENT_HEADER_BYTES];
  }

  /** Lends the open file to `work`. It is closed after the last use unless it is pinned. */
  async use<T>(work: (file: DiskFile) => Promise<T>): Promise<T> {
    this.users++;
    try {
      return await work(await this.opened());
    } finally {
      this.users--;
      await this.release();
    }
  }

  /** Keeps the file open until {@link unpin}. Where it cannot be opened now, the next use does it, or says why not. */
  async pin(): Promise<void> {
    this.pinned = true;
    await this.opened().catch(() => {});
  }

  /** Lets the file be closed as soon as nobody uses it. */
  async unpin(): Promise<void> {
    this.pinned = false;
    await this.release();
  }

  /** Notes a frame boundary. Boundaries after the last one noted are kept once per 64 KiB. */
  note(position: number, offset: number): void {
    if (offset < this.offsets.at(-1)! + INDEX_BYTES) return;
    this.positions.push(position);
    this.offsets.push(offset);
  }

  /** The last noted boundary at or before `position`. */
  boundary(position: number): { position: number; offset: number } {
    let low = 0;
    let high = this.positions.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.positions[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return { position: this.positions[low]!, offset: this.offsets[low]! };
  }

  /** How often the tail of the file was cut: a reader that began before must not note what it saw. */
  get cuts(): number {
    return this.cutCount;
  }

  /** Forgets the boundaries at or after `offset`; the file's first one stays. */
  forget(offset: number): void {
    this.cutCount++;
    this.size = undefined;
    this.since = undefined;
    while (this.offsets.length > 1 && this.offsets.at(-1)! >= offset) {
      this.offsets.pop();
      this.positions.pop();
    }
  }

  private opened(): Promise<DiskFile> {
    if (this.file !== undefined) return this.file;
    const opening = this.disk.open(this.path, 'existing');
    this.file = opening;
    // The next use tries again: too many files may have been open.
    opening.catch(() => {
      if (this.file === opening) this.file = undefined;
    });
    return opening;
  }

  private async release(): Promise<void> {
    if (this.users > 0 || this.pinned || this.file === undefined) return;
    const { file } = this;
    this.file = undefined;
    const opened = await file.catch(() => undefined);
    await opened?.close();
  }
}

export function segmentName(generation: number, first: number): string {
  return `${String(generation).padStart(10, '0')}-${String(first).padStart(16, '0')}.segment`;
}

/** Generation and first position as the name tells them; `undefined` when it is no segment's name. */
export function parseSegmentName(name: string): { generation: number; first: number } | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : { generation: Number(match[1]), first: Number(match[2]) };
}
