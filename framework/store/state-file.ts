import { type Disk, type DiskFile, reasonOf, SerialQueue, VarlogError } from '../base/index.ts';
import { crc32c } from './crc32c.ts';
import { viewOf } from './frame.ts';

const MAGIC = 0x31535256;
const HEADER_BYTES = 16;

/**
 * A value on disk that is replaced as a whole: after a crash there is the old one or the new one,
 * and once `write` has resolved there is the new one.
 *
 * The file: checksum of the rest, magic, length of the identity, length of the value (uint32 each,
 * little endian), identity (UTF-8), value. It is written under another name, synced, renamed, and the
 * folder is synced.
 */
export class StateFile {
  private readonly disk: Disk;
  private readonly path: string;
  private readonly identity: string;
  private current: Uint8Array | undefined;
  private readonly writes = new SerialQueue();
  private failure: VarlogError | undefined;

  private constructor(disk: Disk, path: string, identity: string, value: Uint8Array | undefined) {
    this.disk = disk;
    this.path = path;
    this.identity = identity;
    this.current = value;
  }

  /**
   * Reads what is there. Removes the remains of an interrupted write. Throws `CORRUPT` when the file
   * is damaged and `IDENTITY_MISMATCH` when it was written under another identity.
   */
  static async open(disk: Disk, path: string, identity: string): Promise<StateFile> {
    await disk.remove(temporary(path));
    const bytes = await readWhole(disk, path);
    const value = bytes === undefined ? undefined : decode(bytes, path, identity);
    // A process that died between renaming and syncing left a value that a power loss would take
    // back, after the caller acted on it.
    if (value !== undefined) await disk.syncDirectory(folderOf(path));
    return new StateFile(disk, path, identity, value);
  }

  /** The value as last written; `undefined` when there never was one. */
  get value(): Uint8Array | undefined {
    return this.current;
  }

  /**
   * Replaces the value; writes happen in the order of the calls. Rejects with `DISK_FULL` when there is no
   * room for the new value: the old one stays, and another try may succeed. Rejects with `DISK_FAILED` for
   * anything else, and from then on always: what a failed write left on the disk is not known.
   */
  write(value: Uint8Array): Promise<void> {
    return this.writes.run(() => this.replace(value));
  }

  /** Resolves when nothing that was asked for before is still being written. */
  settled(): Promise<void> {
    return this.writes.settled();
  }

  private async replace(value: Uint8Array): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    let renamed = false;
    try {
      await writeNew(this.disk, temporary(this.path), encode(this.identity, value));
      await this.disk.rename(temporary(this.path), this.path);
      renamed = true;
      await this.disk.syncDirectory(folderOf(this.path));
    } catch (cause) {
      if (!renamed && VarlogError.is(cause, 'DISK_FULL')) {
        // A value that did not fit must not take the room that others need.
        await this.disk.remove(temporary(this.path)).catch(() => {});
        throw cause;
      }
      this.failure = new VarlogError('DISK_FAILED', {
        what: `${this.path} could not be replaced`,
        because: reasonOf(cause),
        next: 'repair the disk and start again: nothing more is written to this file',
        details: { path: this.path, reason: VarlogError.is(cause) ? cause.code : 'INTERNAL' },
        cause,
      });
      throw this.failure;
    }
    this.current = value;
  }
}

function temporary(path: string): string {
  return `${path}.new`;
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '.' : path.slice(0, slash);
}

/** Writes a file anew, durably; its name is not. */
export async function writeNew(
  disk: Disk,
  path: string,
  chunks: readonly Uint8Array[],
): Promise<void> {
  const file = await disk.open(path, 'create');
  try {
    await file.truncate(0);
    await file.write(0, chunks);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readWhole(disk: Disk, path: string): Promise<Uint8Array | undefined> {
  let file: DiskFile;
  try {
    file = await disk.open(path, 'existing');
  } catch (error) {
    if (VarlogError.is(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
  try {
    return await file.read(0, await file.size());
  } finally {
    await file.close();
  }
}

function encode(identity: string, value: Uint8Array): Uint8Array[] {
  const name = new TextEncoder().encode(identity);
  const header = new Uint8Array(HEADER_BYTES + name.length);
  const view = viewOf(header);
  view.setUint32(4, MAGIC, true);
  view.setUint32(8, name.length, true);
  view.setUint32(12, value.length, true);
  header.set(name, HEADER_BYTES);
  view.setUint32(0, crc32c(value, 0, value.length, crc32c(header, 4)), true);
  return value.length === 0 ? [header] : [header, value];
}

function decode(bytes: Uint8Array, path: string, identity: string): Uint8Array {
  const view = viewOf(bytes);
  const whole = bytes.length >= HEADER_BYTES && view.getUint32(4, true) === MAGIC;
  if (!whole || crc32c(bytes, 4) !== view.getUint32(0, true)) {
    throw new VarlogError('CORRUPT', {
      what: `${path} is damaged`,
      next: 'rebuild this replica from another one',
      details: { path, offset: 0 },
    });
  }
  const valueAt = HEADER_BYTES + view.getUint32(8, true);
  const found = new TextDecoder().decode(bytes.subarray(HEADER_BYTES, valueAt));
  if (found !== identity) {
    throw new VarlogError('IDENTITY_MISMATCH', {
      what: `${path} belongs to "${found}", not to "${identity}"`,
      because: 'the folder was copied, restored or swapped',
      next: 'give each node its own folder',
      details: { path, expected: identity, found },
    });
  }
  return bytes.subarray(valueAt, valueAt + view.getUint32(12, true));
}
