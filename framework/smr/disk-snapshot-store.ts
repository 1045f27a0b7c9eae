import { type Disk, type DiskFile, VarlogError } from '../base/index.ts';
import { crc32c, leadingNumber, readReplaced, replaceFile, replaceFileBy } from '../store/index.ts';
import type { SnapshotLock, SnapshotStore, StoredSnapshot } from './snapshot-store.ts';

const NAME = 'snapshot';
/** A text. A folder that was copied must not be used without removing it from the copy. */
const ID = 'id';
/** CRC32C of the rest (uint32) and position (float64), little endian; the state follows. */
const HEADER_BYTES = 12;
const READ_BYTES = 256 * 1024;

/** Keeps the newest snapshot in the root of a disk, replaced atomically. For one replica at a time. */
export class DiskSnapshotStore implements SnapshotStore {
  private readonly disk: Disk;
  /** The file, for people. */
  private readonly path: string;

  constructor(disk: Disk) {
    this.disk = disk;
    this.path = disk.pathOf(NAME);
  }

  async lock(): Promise<SnapshotLock> {
    await this.disk.makeDirectory('.');
    return this.disk.lock('.');
  }

  async save(position: number, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    await this.disk.makeDirectory('.');
    await replaceFileBy(this.disk, NAME, async (file) => {
      const header = new Uint8Array(HEADER_BYTES);
      const view = new DataView(header.buffer);
      view.setFloat64(4, position, true);
      let checksum = crc32c(header, 4);
      let at = HEADER_BYTES;
      for await (const chunk of chunks) {
        await file.write(at, [chunk]);
        checksum = crc32c(chunk, 0, chunk.length, checksum);
        at += chunk.length;
      }
      view.setUint32(0, checksum, true);
      await file.write(0, [header]);
    });
    return position;
  }

  async id(fresh: string): Promise<string> {
    const asText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
    const stored = (await readReplaced(this.disk, ID, asText)) ?? '';
    // One that is not like it was written is as good as none: a new one holds just as well.
    if (/^[\w-]{1,64}$/.test(stored)) return stored;
    await this.disk.makeDirectory('.');
    await replaceFile(this.disk, ID, [new TextEncoder().encode(fresh)]);
    return fresh;
  }

  /** Rejects with `CORRUPT` where the file is damaged at its begin, and with `FORMAT_UNKNOWN` where a later version wrote it. */
  async load(): Promise<StoredSnapshot | undefined> {
    const file = await openIfThere(this.disk, NAME);
    if (file === undefined) return undefined;
    try {
      const header = await file.read(0, HEADER_BYTES);
      if (header.length < HEADER_BYTES) throw damaged(this.path);
      // A process that died between renaming and syncing left a snapshot that a power loss would take back, after the
      // replica acted on it.
      await this.disk.syncDirectory('.');
      const view = new DataView(header.buffer, header.byteOffset);
      const isLater = (header[HEADER_BYTES - 1] as number) >= 0x80;
      // Whole, it is of a later version; otherwise it only looks like it.
      if (isLater) for await (const _ of checked(file, this.path));
      const position = leadingNumber(view, 4, { what: 'a stored snapshot', path: this.path });
      return { position, chunks: this.chunks() };
    } finally {
      await file.close();
    }
  }

  private async *chunks(): AsyncGenerator<Uint8Array> {
    const file = await this.disk.open(NAME, 'existing');
    try {
      yield* checked(file, this.path);
    } finally {
      await file.close();
    }
  }
}

/** What follows the header. Throws at the end where its checksum is not the one that was written. */
async function* checked(file: DiskFile, path: string): AsyncGenerator<Uint8Array> {
  const header = await file.read(0, HEADER_BYTES);
  const expected = new DataView(header.buffer, header.byteOffset).getUint32(0, true);
  let checksum = crc32c(header, 4);
  for (let at = HEADER_BYTES; ; at += READ_BYTES) {
    const chunk = await file.read(at, READ_BYTES);
    checksum = crc32c(chunk, 0, chunk.length, checksum);
    if (chunk.length > 0) yield chunk;
    if (chunk.length < READ_BYTES) break;
  }
  if (checksum !== expected) throw damaged(path);
}

async function openIfThere(disk: Disk, path: string): Promise<DiskFile | undefined> {
  try {
    return await disk.open(path, 'existing');
  } catch (error) {
    if (VarlogError.is(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

function damaged(path: string): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `the snapshot ${path} is damaged`,
    details: { path },
    because: 'the disk lost or changed what was synced',
    next: 'restore it from another replica, or remove it where the log still has its head',
  });
}
