import { type Disk, SerialQueue, VarlogError } from '../base/index.ts';
import { readReplaced, replaceFile } from './atomic-file.ts';
import { crc32c } from './crc32c.ts';
import { viewOf } from './frame.ts';
import { checkStateHeader, encodeStateHeader } from './state-header.ts';

/** How a value lies in its file. */
export interface ValueFormat<T> {
  encode(value: T): Uint8Array;
  /** Throws `FORMAT_UNKNOWN` for a value of a later version. `path` names the file in the error. */
  decode(bytes: Uint8Array, path: string): T;
}

/**
 * A value on disk that is replaced as a whole: after a crash there is the old one or the new one,
 * and once `write` has resolved there is the new one.
 *
 * The file: checksum of the rest, magic (its last byte is the version, as a digit), length of the label, length
 * of the value (uint32 each, little endian), label (UTF-8), value.
 */
export class StateFile<T> {
  private readonly disk: Disk;
  private readonly path: string;
  private readonly label: string;
  private readonly format: ValueFormat<T>;
  private current: T | undefined;
  private readonly writes = new SerialQueue();
  private failure: unknown;

  private constructor(
    disk: Disk,
    path: string,
    label: string,
    format: ValueFormat<T>,
    value: T | undefined,
  ) {
    this.disk = disk;
    this.path = path;
    this.label = label;
    this.format = format;
    this.current = value;
  }

  /**
   * Reads what is there, and removes the remains of an interrupted write. Throws `CORRUPT` when the file
   * is damaged, `FORMAT_UNKNOWN` when a later version wrote it, `IDENTITY_MISMATCH` when it was written under another
   * label, and whatever `format` throws at its value; the files are left as they are then. `remedy`: what to do where it is
   * damaged, for people.
   */
  static async open<T>(
    disk: Disk,
    path: string,
    label: string,
    format: ValueFormat<T>,
    remedy?: string,
  ): Promise<StateFile<T>> {
    const shown = disk.pathOf(path);
    const value = await readReplaced(disk, path, (bytes) =>
      format.decode(decode(bytes, { path: shown, label, remedy }), shown),
    );
    return new StateFile(disk, path, label, format, value);
  }

  /** The value as last written; `undefined` when there never was one. */
  get value(): T | undefined {
    return this.current;
  }

  /**
   * Replaces the value; writes happen in the order of the calls. Rejects with `DISK_FULL` when there is no
   * room for the new value: the old one stays, and another try may succeed. Rejects with `DISK_FAILED` for
   * anything else, and from then on always: what a failed write left on the disk is not known.
   */
  write(value: T): Promise<void> {
    const bytes = encode(this.label, this.format.encode(value));
    return this.writes.run(() => this.replace(value, bytes));
  }

  /** Resolves when nothing that was asked for before is still being written. */
  settled(): Promise<void> {
    return this.writes.settled();
  }

  private async replace(value: T, bytes: readonly Uint8Array[]): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    try {
      await replaceFile(this.disk, this.path, bytes);
    } catch (error) {
      if (!VarlogError.is(error, 'DISK_FULL')) this.failure = error;
      throw error;
    }
    this.current = value;
  }
}

function encode(label: string, value: Uint8Array): Uint8Array[] {
  const header = encodeStateHeader(label, value.length);
  const sum = crc32c(value, 0, value.length, crc32c(header, 4));
  viewOf(header).setUint32(0, sum, true);
  return value.length === 0 ? [header] : [header, value];
}

function decode(bytes: Uint8Array, named: Parameters<typeof checkStateHeader>[2]): Uint8Array {
  const { valueAt, valueBytes } = checkStateHeader(bytes, crc32c(bytes, 4), named);
  return bytes.subarray(valueAt, valueAt + valueBytes);
}
