import { crc32c } from '@node-rs/crc32';
import { type Disk, VarlogError } from '../base/index.ts';
import { leadingNumber, readReplaced, replaceFile } from '../store/index.ts';
import type { SnapshotLock, SnapshotStore } from './snapshot-store.ts';

const NAME = 'snapshot';
/** A text. A folder that was copied must not be used without removing it from the copy. */
const ID = 'id';
/** CRC32C of the rest (uint32) and position (float64), little endian; the state follows. */
const HEADER_BYTES = 12;

/** Keeps the newest snapshot in the root of a disk, replaced atomically. For one replica at a time. */
export class DiskSnapshotStore implements SnapshotStore {
  private readonly disk: Disk;

  constructor(disk: Disk) {
    this.disk = disk;
  }

  async lock(): Promise<SnapshotLock> {
    await this.disk.makeDirectory('.');
    return this.disk.lock('.');
  }

  async save(position: number, state: Uint8Array): Promise<void> {
    const header = new Uint8Array(HEADER_BYTES);
    const view = new DataView(header.buffer);
    view.setFloat64(4, position, true);
    view.setUint32(0, crc32c(state, crc32c(header.subarray(4))), true);
    await this.disk.makeDirectory('.');
    await replaceFile(this.disk, NAME, [header, state]);
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

  /** Throws `CORRUPT` where the file is damaged, and `FORMAT_UNKNOWN` where a later version wrote it. */
  load(): Promise<{ position: number; state: Uint8Array } | undefined> {
    return readReplaced(this.disk, NAME, decode);
  }
}

function decode(bytes: Uint8Array): { position: number; state: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES || view.getUint32(0, true) !== crc32c(bytes.subarray(4))) {
    throw new VarlogError('CORRUPT', {
      what: 'a stored snapshot is damaged',
      because: 'the disk lost or changed what was synced',
      next: 'restore it from another replica, or remove it where the log still has its head',
    });
  }
  const position = leadingNumber(view, 4, { what: 'a stored snapshot', path: NAME });
  return { position, state: bytes.subarray(HEADER_BYTES) };
}
