import { type Disk, type DiskFile, SerialQueue, VarlogError } from '../base/index.ts';
import type { WrittenAhead } from './write-ahead-log.ts';

/** Durable in the write-ahead log. */
interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Hears what becomes of a file that was written ahead. */
interface WriteAheadListener {
  /** Nothing of it is ahead any more. */
  freed(): void;
  /** It cannot be made durable. */
  failed(error: unknown): void;
}

/** A file of which the write-ahead log has something, or had just now. */
export class WriteAheadFile implements WrittenAhead {
  readonly path: string;
  readonly name: Uint8Array;
  private readonly disk: Disk;
  private readonly listener: WriteAheadListener;
  /** What is not durable in the file itself, in the order in which it was written. */
  private pieces: Piece[] = [];
  /** So many of them, the first ones, can be read from the file. */
  private brought = 0;
  /** Who writes ahead has it open. */
  private writer: DiskFile | undefined;
  /** What is done with the file itself. */
  private readonly queue = new SerialQueue();
  private writtenTo = 0;
  private failed = false;
  /** Nothing is written again to a file of this name. */
  private forgotten = false;

  constructor(
    disk: Disk,
    { path, name }: { path: string; name: Uint8Array },
    listener: WriteAheadListener,
  ) {
    this.disk = disk;
    this.path = path;
    this.name = name;
    this.listener = listener;
  }

  /** Bytes that are durable in the write-ahead log: they are the file's from now on. */
  note(offset: number, bytes: Uint8Array, writer: DiskFile): void {
    this.pieces.push({ offset, bytes });
    this.writtenTo = offset + bytes.length;
    this.writer = writer;
  }

  /** Whether the file itself may not have all that is to be read there. */
  isAhead(offset: number, length: number): boolean {
    const first = this.pieces[this.brought];
    return first !== undefined && this.writtenTo > offset && first.offset < offset + length;
  }

  /** Where what was written ahead ends. */
  get end(): number {
    return this.writtenTo;
  }

  /** Whether it could not be made durable when that was last tried. */
  get hasFailed(): boolean {
    return this.failed;
  }

  /** Has the file read as it is to be. */
  bring(): Promise<void> {
    return this.queue.run(() => this.withFile((file) => this.bringTo(file)));
  }

  settle(): Promise<void> {
    return this.queue.run(async () => {
      if (this.forgotten) return;
      try {
        await this.withFile((file) => this.settleIn(file));
        this.failed = false;
      } catch (error) {
        // Taken away by somebody else. What comes in its place is another file.
        if (VarlogError.is(error, 'NOT_FOUND')) return this.drop(this.pieces.length);
        this.failed = !VarlogError.is(error, 'DISK_FULL');
        if (this.failed) this.listener.failed(error);
        throw error;
      }
    });
  }

  /** The write-ahead log has forgotten it. Once this has resolved, the file may be another one, or none. */
  forget(): Promise<void> {
    this.forgotten = true;
    return this.queue.settled();
  }

  freed(): void {
    if (this.pieces.length === 0) this.listener.freed();
  }

  /** Closes the file of who wrote ahead, or who may have. */
  close(file: DiskFile): Promise<void> {
    return this.queue.run(() => {
      if (this.writer === file) this.writer = undefined;
      return file.close();
    });
  }

  private async settleIn(file: DiskFile): Promise<void> {
    await this.bringTo(file);
    const durable = this.brought;
    try {
      await file.sync();
    } catch (error) {
      // All of it is written once more: another sync alone might succeed without what this one lost.
      this.brought = 0;
      throw error;
    }
    this.drop(durable);
  }

  private async bringTo(file: DiskFile): Promise<void> {
    while (this.brought < this.pieces.length) {
      const chunks = following(this.pieces, this.brought);
      await file.write(this.pieces[this.brought]!.offset, chunks);
      this.brought += chunks.length;
    }
  }

  private drop(count: number): void {
    this.pieces.splice(0, count);
    this.brought = 0;
  }

  private async withFile(work: (file: DiskFile) => Promise<void>): Promise<void> {
    if (this.writer !== undefined) return work(this.writer);
    const file = await this.disk.open(this.path, 'existing');
    try {
      await work(file);
    } finally {
      await file.close();
    }
  }
}

/** The bytes from a piece on that lie one behind the other. */
function following(pieces: readonly Piece[], from: number): Uint8Array[] {
  const chunks = [pieces[from]!.bytes];
  for (let i = from + 1; i < pieces.length; i++) {
    const [last, next] = [pieces[i - 1]!, pieces[i]!];
    if (next.offset !== last.offset + last.bytes.length) break;
    chunks.push(next.bytes);
  }
  return chunks;
}
