import { type Clock, type Disk, type DiskFile, VarlogError } from '../base/index.ts';
import { type BlockEntry, blockBytes, encodeBlock } from './write-ahead-block.ts';

/** In the order in which they are written first. */
export const FILE_NAMES = ['0', '1'] as const;
/** Kept free of writes: room for what gives room back. */
const RESERVE_BYTES_MAX = 64 * 1024;
/** Of these, the last ones are for blocks without entries. */
const LEAST_RESERVE_BYTES = 64;
const SETTLED_AT_ONCE = 2;
/** What could not be settled is tried again after so long, when the room is needed. */
const AGAIN_MS = 5_000;

/** A file that has entries in the write-ahead log. */
export interface WrittenAhead {
  readonly name: Uint8Array;
  /** Makes durable in the file itself all that the write-ahead log has of it. */
  settle(): Promise<void>;
  /** The write-ahead log has nothing of it any more. */
  freed(): void;
}

interface WriteAheadLogOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  /** Stands in every block: whose write-ahead log it is. */
  readonly tag: number;
  /** Of each of the two files. */
  readonly fileBytes: number;
  /** Hears once when something cannot be settled. */
  readonly onFailure: (error: unknown) => void;
}

interface Waiting {
  readonly of: WrittenAhead | undefined;
  /** None: the block is written for what it says of those before. */
  readonly entry: BlockEntry | undefined;
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

/** One of the two files of the write-ahead log. */
interface Half {
  readonly file: DiskFile;
  /** Where the next block goes. */
  end: number;
  /** The number of its first block. */
  first: number;
  /** Files of which it has entries. */
  readonly has: Set<WrittenAhead>;
  /**
   * A full one is `settling`, or `stuck` where that failed, then `settled`, and `free` once a block says so. What is not
   * settled is written again after a crash.
   */
  state: 'free' | 'active' | 'settling' | 'stuck' | 'settled';
}

/**
 * What many files write, made durable by one write (as a file system journals data): two files of a fixed size
 * are filled in turns, one block after the other, with group commit. While one write is in flight, entries gather. When one
 * file is full, all that it has is settled in its own place, and it is free again. It needs no room on the disk after it
 * was made, and no memory but for what is not settled.
 */
export class WriteAheadLog {
  private readonly halves: readonly [Half, Half];
  private readonly options: WriteAheadLogOptions;
  private active: Half;
  private number = 0;
  private waiting: Waiting[] = [];
  private waitingBytes = 0;
  private writing: Promise<void> | undefined;
  private settling: Promise<void> = Promise.resolve();
  /** Why it takes nothing any more. */
  private failure: unknown;
  private settleAgainAt = 0;
  /** Why the other file could not be settled, when that was last tried. */
  private stuckBy: unknown;
  /** Entries of the last two blocks. */
  private lately: readonly [number, number] = [0, 0];

  private constructor(files: readonly DiskFile[], options: WriteAheadLogOptions) {
    const [first, second] = files.map(
      (file): Half => ({ file, end: 0, first: 1, has: new Set(), state: 'free' }),
    );
    this.halves = [first!, second!];
    this.options = options;
    this.active = first!;
    this.active.state = 'active';
  }

  /** Makes the files. Rejects with `DISK_FULL`, and leaves nothing, where there is no room for them. */
  static async make(options: WriteAheadLogOptions): Promise<WriteAheadLog> {
    const { disk, directory, fileBytes } = options;
    const files: DiskFile[] = [];
    try {
      await disk.makeDirectory(directory);
      for (const name of FILE_NAMES) {
        const file = await disk.open(`${directory}/${name}`, 'create');
        files.push(file);
        await file.write(0, [new Uint8Array(fileBytes)]);
        await file.sync();
      }
      await disk.syncDirectory(directory);
      return new WriteAheadLog(files, options);
    } catch (error) {
      for (const file of files) await file.close().catch(() => {});
      await disk.remove(directory).catch(() => {});
      throw error;
    }
  }

  /** How many writes come together: as of late, and of those that wait. */
  get together(): number {
    return Math.max(this.waiting.length, ...this.lately);
  }

  /** Whether it takes this entry now. May go on to the other file. */
  hasRoomFor(entry: BlockEntry): boolean {
    if (this.failure !== undefined) return false;
    const reserve = Math.min(RESERVE_BYTES_MAX, this.options.fileBytes >> 2);
    return this.fits(entry, reserve) || (this.turn() && this.fits(entry, reserve));
  }

  /**
   * Resolves when the entry is durable, with its bytes, which are not the caller's and stay. The caller has asked
   * {@link hasRoomFor}. Rejects with `DISK_FULL` where the disk had no room after all: nothing has changed then.
   */
  write(of: WrittenAhead, entry: BlockEntry): Promise<Uint8Array> {
    this.active.has.add(of);
    return this.add({ of, entry });
  }

  /** Whether something would be written again to this file after a crash. */
  has(of: WrittenAhead): boolean {
    return this.halves.some((it) => it.has.has(of));
  }

  /**
   * Resolves when it is durable that nothing is written again of what this file has here. Rejects where there is no room
   * for that, and others cannot be settled.
   */
  async forget(of: WrittenAhead): Promise<void> {
    const entry: BlockEntry = { kind: 'settled', name: of.name };
    while (!this.fits(entry, LEAST_RESERVE_BYTES) && this.failure === undefined) {
      await this.makeRoom();
    }
    await this.add({ of, entry });
  }

  /** Settles everything, and closes the files: they are of no use any more then. Rejects where something cannot be settled. */
  async close(): Promise<void> {
    await this.settling;
    while (this.writing !== undefined) await this.writing;
    try {
      for (const { has } of this.halves) await settleAll(has);
    } finally {
      for (const { file } of this.halves) await file.close().catch(() => {});
    }
  }

  private fits(entry: BlockEntry, reserve: number): boolean {
    const bytes = this.waitingBytes + blockBytes(entry);
    return this.active.end + bytes + reserve <= this.options.fileBytes;
  }

  private get other(): Half {
    return this.halves[this.active === this.halves[0] ? 1 : 0];
  }

  private async makeRoom(): Promise<void> {
    await this.writing;
    if (this.turn()) return;
    await this.settling;
    if (this.other.state !== 'stuck') return;
    this.settling = this.settle(this.other);
    await this.settling;
    if (this.stuckBy !== undefined) throw this.stuckBy;
  }

  /** Goes on with the other file. Whether it could. */
  private turn(): boolean {
    const { active, other } = this;
    if (this.writing !== undefined) return false;
    const isDue = this.options.clock.now() >= this.settleAgainAt;
    if (other.state === 'stuck' && isDue) this.settling = this.settle(other);
    if (other.state !== 'free') return false;
    other.state = 'active';
    other.end = 0;
    other.first = this.number + 1;
    this.active = other;
    this.settling = this.settle(active);
    return true;
  }

  /** Never rejects. */
  private async settle(half: Half): Promise<void> {
    half.state = 'settling';
    try {
      await settleAll(half.has);
      half.state = 'settled';
      await this.add({ of: undefined, entry: undefined });
    } catch (error) {
      half.state = 'stuck';
      this.settleAgainAt = this.options.clock.now() + AGAIN_MS;
      if (this.stuckBy === undefined) this.options.onFailure(error);
      this.stuckBy = error;
      return;
    }
    this.stuckBy = undefined;
    const had = [...half.has];
    half.has.clear();
    half.state = 'free';
    for (const it of had) if (!this.has(it)) it.freed();
  }

  private add({ of, entry }: Pick<Waiting, 'of' | 'entry'>): Promise<Uint8Array> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (entry !== undefined) this.waitingBytes += blockBytes(entry);
    return new Promise((resolve, reject) => {
      this.waiting.push({ of, entry, resolve, reject });
      this.writing ??= this.writeAll();
    });
  }

  private async writeAll(): Promise<void> {
    // What is added in the same breath goes into the first block.
    await undefined;
    while (this.waiting.length > 0) {
      const { waiting } = this;
      this.waiting = [];
      this.waitingBytes = 0;
      try {
        if (this.failure !== undefined) throw this.failure;
        await this.writeBlock(waiting);
      } catch (error) {
        if (!VarlogError.is(error, 'DISK_FULL')) this.failure = error;
        for (const { reject } of waiting) reject(error);
      }
    }
    this.writing = undefined;
  }

  private async writeBlock(waiting: readonly Waiting[]): Promise<void> {
    const { active } = this;
    const entries = waiting.flatMap(({ entry }) => (entry === undefined ? [] : [entry]));
    const number = this.number + 1;
    const needed = this.halves.filter((it) => it.state !== 'free' && it.state !== 'settled');
    const oldest = Math.min(...needed.map((it) => it.first));
    const { bytes, payloads } = encodeBlock({ number, oldest, entries }, this.options.tag);
    const begin = active.end;
    // What comes meanwhile finds its room behind.
    active.end += bytes.length;
    try {
      await active.file.writeDurably(begin, [bytes]);
    } catch (error) {
      active.end = begin;
      throw error;
    }
    this.number = number;
    this.lately = [entries.length, this.lately[0]];
    let next = 0;
    for (const { of, entry, resolve } of waiting) {
      if (entry?.kind === 'settled') for (const { has } of this.halves) has.delete(of!);
      resolve(entry === undefined ? bytes : payloads[next++]!);
    }
  }
}

async function settleAll(files: Iterable<WrittenAhead>): Promise<void> {
  const rest = [...files];
  const settleNext = async (): Promise<void> => {
    for (let it = rest.pop(); it !== undefined; it = rest.pop()) await it.settle();
  };
  await Promise.all(Array.from({ length: SETTLED_AT_ONCE }, settleNext));
}
