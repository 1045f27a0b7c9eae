import { type Disk, type DiskFile, SerialQueue, VarlogError } from '../base/index.ts';
import type { WrittenAhead } from './write-ahead-log.ts';

/** Durable in the write-ahead log, and not in the file. */
interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A file of which the write-ahead log has something, or had just now. */
export class WriteAheadFile implements WrittenAhead {
  readonly path: string;
  readonly name: Uint8Array;
  /** Where what was written ahead ends. */
  end = 0;
  private readonly disk: Disk;
  private readonly onFreed: () => void;
  private pieces: Piece[] = [];
  /** Who writes ahead has it open. */
  private writer: DiskFile | undefined;
  /** What is done with the file itself. */
  private readonly queue = new SerialQueue();
  private failure: unknown;
  /** Nothing is written again to a file of this name. */
  private forgotten = false;

  constructor(disk: Disk, { path, name }: { path: string; name: Uint8Array }, onFreed: () => void) {
    this.disk = disk;
    this.path = path;
    this.name = name;
    this.onFreed = onFreed;
  }

  /** Bytes that are durable in the write-ahead log: they are the file's from now on. */
  note(offset: number, bytes: Uint8Array, writer: DiskFile): void {
    this.pieces.push({ offset, bytes });
    this.writer = writer;
  }

  /** Whether the file itself may not have all that was written from `offset` on. */
  isAhead(offset: number, length: number): boolean {
    const [first] = this.pieces;
    return first !== undefined && this.end > offset && first.offset < offset + length;
  }

  /** Brings to the file what it does not have. Not durable there: that it is in the write-ahead log. */
  bring(): Promise<void> {
    return this.queue.run(() => this.withFile((file) => this.bringTo(file)));
  }

  settle(): Promise<void> {
    return this.queue.run(async () => {
      this.check();
      if (this.forgotten) return;
      try {
        await this.withFile((file) => this.settleIn(file));
      } catch (error) {
        if (!VarlogError.is(error, 'NOT_FOUND')) throw error;
        // Taken away by somebody else. What comes in its place is another file.
        this.pieces = [];
      }
    });
  }

  /** The write-ahead log has forgotten it. Once this has resolved, the file may be another one, or none. */
  forget(): Promise<void> {
    this.forgotten = true;
    return this.queue.settled();
  }

  freed(): void {
    if (this.pieces.length === 0) this.onFreed();
  }

  /** Rejects where its file could not be made durable. */
  check(): void {
    if (this.failure !== undefined) throw this.failure;
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
    try {
      await file.sync();
    } catch (error) {
      // A sync that follows might succeed, and have made nothing durable of what this one lost.
      this.failure = error;
      throw error;
    }
  }

  private async bringTo(file: DiskFile): Promise<void> {
    while (this.pieces.length > 0) {
      const { pieces } = this;
      const count = following(pieces);
      const chunks = pieces.slice(0, count).map((it) => it.bytes);
      await file.write(pieces[0]!.offset, chunks);
      pieces.splice(0, count);
    }
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

/** How many pieces lie one behind the other. */
function following(pieces: readonly Piece[]): number {
  let count = 1;
  for (let last = pieces[0]!; count < pieces.length; count++) {
    const next = pieces[count]!;
    if (next.offset !== last.offset + last.bytes.length) break;
    last = next;
  }
  return count;
}
