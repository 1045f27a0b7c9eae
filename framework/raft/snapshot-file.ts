import { type Disk, type DiskFile, VarlogError } from '../base/index.ts';
import {
  checkStateHeader,
  crc32c,
  crc32cShift,
  encodeStateHeader,
  STATE_HEADER_BYTES,
  valueOffsetOf,
  viewOf,
} from '../store/index.ts';
import {
  decodeSnapshotHead,
  encodeSnapshotHead,
  SNAPSHOT_HEADER_BYTES,
  type Snapshot,
  type SnapshotHead,
  snapshotHeadBytes,
} from './stored-values.ts';

/** So much of a state is in memory while it is written or read. */
const BLOCK_BYTES = 256 * 1024;
/** What the length in the file's header can say. */
const VALUE_BYTES_MAX = 2 ** 32 - 1;

/** Which file, and whose. */
export interface SnapshotPlace {
  readonly disk: Disk;
  readonly path: string;
  /** Names the member in the file. */
  readonly label: string;
}

/**
 * Writes a snapshot, block by block, as a state file whose value is its head and the state. The file is none before
 * {@link finish}: its header is written last.
 */
export class SnapshotWriter {
  readonly head: SnapshotHead;
  readonly place: SnapshotPlace;
  /** Bytes of the state so far. */
  size = 0;
  private readonly file: DiskFile;
  private readonly headBytes: Uint8Array;
  private block: Uint8Array[] = [];
  private blockBytes = 0;
  private at: number;
  private checksum = 0;

  private constructor(place: SnapshotPlace, head: SnapshotHead, file: DiskFile) {
    this.place = place;
    this.head = head;
    this.file = file;
    this.headBytes = encodeSnapshotHead(head);
    this.at = encodeStateHeader(place.label, 0).length;
    this.put(this.headBytes);
  }

  /** Makes the file, or empties it. */
  static async create(place: SnapshotPlace, head: SnapshotHead): Promise<SnapshotWriter> {
    const file = await place.disk.open(place.path, 'create');
    try {
      await file.truncate(0);
    } catch (error) {
      await file.close();
      throw error;
    }
    return new SnapshotWriter(place, head, file);
  }

  /** Adds to the state. Not to be called again before this has settled; after an error only {@link giveUp} may. */
  async append(bytes: Uint8Array): Promise<void> {
    if (this.headBytes.length + this.size + bytes.length > VALUE_BYTES_MAX) throw tooLarge();
    this.checksum = crc32c(bytes, 0, bytes.length, this.checksum);
    this.size += bytes.length;
    this.put(bytes);
    if (this.blockBytes >= BLOCK_BYTES) await this.flush();
  }

  /** Makes the file whole and durable, but not its name. */
  async finish(): Promise<Snapshot> {
    const { file, headBytes, size, checksum } = this;
    await this.flush();
    const header = encodeStateHeader(this.place.label, headBytes.length + size);
    const before = crc32c(headBytes, 0, headBytes.length, crc32c(header, 4));
    const sum = (crc32cShift(before, size) ^ checksum) >>> 0;
    viewOf(header).setUint32(0, sum, true);
    await file.write(0, [header]);
    await file.sync();
    await file.close();
    return { ...this.head, size, checksum };
  }

  /** Lets go of the file, which stays and is none. */
  async giveUp(): Promise<void> {
    this.block = [];
    await this.file.close().catch(() => {});
  }

  private put(bytes: Uint8Array): void {
    this.block.push(bytes);
    this.blockBytes += bytes.length;
  }

  private async flush(): Promise<void> {
    const { block, blockBytes, at } = this;
    this.block = [];
    this.blockBytes = 0;
    this.at += blockBytes;
    if (blockBytes > 0) await this.file.write(at, block);
  }
}

/** Reads a snapshot, block by block. It stays readable until {@link close}, also when a newer one takes its place. */
export class SnapshotReader {
  readonly snapshot: Snapshot;
  private readonly file: DiskFile;
  /** For people. */
  private readonly path: string;
  private readonly stateAt: number;

  private constructor(snapshot: Snapshot, file: DiskFile, path: string, stateAt: number) {
    this.snapshot = snapshot;
    this.file = file;
    this.path = path;
    this.stateAt = stateAt;
  }

  /**
   * `undefined` where there is no file. With `check` the whole of it is read first. Rejects with `CORRUPT`,
   * `FORMAT_UNKNOWN`, or `IDENTITY_MISMATCH`.
   */
  static async open(
    { disk, path, label }: SnapshotPlace,
    { check }: { check: boolean },
  ): Promise<SnapshotReader | undefined> {
    let file: DiskFile;
    try {
      file = await disk.open(path, 'existing');
    } catch (error) {
      if (VarlogError.is(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
    const shown = disk.pathOf(path);
    try {
      const start = await file.read(0, STATE_HEADER_BYTES);
      const header = await file.read(0, Math.min(valueOffsetOf(start), await file.size()));
      const claimed = header.length < 4 ? 0 : viewOf(header).getUint32(0, true);
      const sum = check ? await sumOf(file) : claimed;
      const { valueAt, valueBytes } = checkStateHeader(header, sum, { path: shown, label });
      const length = snapshotHeadBytes(await file.read(valueAt, SNAPSHOT_HEADER_BYTES), shown);
      const head = await file.read(valueAt, length);
      const size = valueBytes - length;
      const before = crc32c(head, 0, length, crc32c(header, 4));
      const checksum = (crc32cShift(before, size) ^ claimed) >>> 0;
      const snapshot = { ...decodeSnapshotHead(head, shown), size, checksum };
      return new SnapshotReader(snapshot, file, shown, valueAt + length);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * The state from `offset` on, in parts of up to `partBytes`. When all of it is read, throws `CORRUPT` at the end where
   * it is not what was written.
   */
  async *chunks(offset = 0, partBytes = BLOCK_BYTES): AsyncGenerator<Uint8Array> {
    const { size, checksum } = this.snapshot;
    let sum = 0;
    for (let at = offset; at < size; ) {
      const block = await this.file.read(this.stateAt + at, Math.min(BLOCK_BYTES, size - at));
      if (block.length === 0) throw damaged(this.path);
      sum = crc32c(block, 0, block.length, sum);
      for (let i = 0; i < block.length; i += partBytes) yield block.subarray(i, i + partBytes);
      at += block.length;
    }
    if (offset === 0 && sum !== checksum) throw damaged(this.path);
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

async function sumOf(file: DiskFile): Promise<number> {
  let sum = 0;
  for (let at = 4; ; ) {
    const block = await file.read(at, BLOCK_BYTES);
    sum = crc32c(block, 0, block.length, sum);
    at += block.length;
    if (block.length < BLOCK_BYTES) return sum;
  }
}

function damaged(path: string): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `${path} is damaged`,
    because: 'the disk lost or changed what was synced',
    next: 'remove this member from the group, and add another one under a new id',
    details: { path },
  });
}

function tooLarge(): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'the state of a snapshot is larger than 4 GiB',
    next: 'keep the state smaller, or the snapshots in a store of their own',
  });
}
