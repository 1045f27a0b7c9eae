import { type Disk, formatUnknown, VarlogError } from '../base/index.ts';
import { viewOf } from './frame.ts';
import { REBUILD } from './log-errors.ts';

/** `VRS` and the version as a digit. */
const MAGIC = 0x31535256;
const NAME_MASK = 0xffffff;
/** What lies before the label. */
export const STATE_HEADER_BYTES = 16;

/** What a {@link StateFile} begins with, up to its value; its first four bytes, the checksum of all others, are still 0. */
export function encodeStateHeader(label: string, valueBytes: number): Uint8Array {
  const name = new TextEncoder().encode(label);
  const header = new Uint8Array(STATE_HEADER_BYTES + name.length);
  const view = viewOf(header);
  view.setUint32(4, MAGIC, true);
  view.setUint32(8, name.length, true);
  view.setUint32(12, valueBytes, true);
  header.set(name, STATE_HEADER_BYTES);
  return header;
}

/** Where the value begins, by the first {@link STATE_HEADER_BYTES} of a file. */
export function valueOffsetOf(bytes: Uint8Array): number {
  return bytes.length < STATE_HEADER_BYTES
    ? 0
    : STATE_HEADER_BYTES + viewOf(bytes).getUint32(8, true);
}

/**
 * Where the value of a state file lies that has the checksum `sum`. Throws `CORRUPT`, `FORMAT_UNKNOWN` and
 * `IDENTITY_MISMATCH` as {@link StateFile.open} does.
 */
export function checkStateHeader(
  bytes: Uint8Array,
  sum: number,
  { path, label, remedy = REBUILD }: { path: string; label: string; remedy?: string | undefined },
): { valueAt: number; valueBytes: number } {
  const view = viewOf(bytes);
  const magic = bytes.length < STATE_HEADER_BYTES ? 0 : view.getUint32(4, true);
  const isNamed = (magic & NAME_MASK) === (MAGIC & NAME_MASK);
  if (!isNamed || sum !== view.getUint32(0, true)) {
    throw new VarlogError('CORRUPT', {
      what: `${path} is damaged`,
      next: remedy,
      details: { path, offset: 0 },
    });
  }
  if (magic !== MAGIC) {
    const found = `version ${(magic >>> 24) - 0x30}`;
    throw formatUnknown({ what: path, path, found, reads: 'version 1' });
  }
  const valueAt = valueOffsetOf(bytes);
  const found = new TextDecoder().decode(bytes.subarray(STATE_HEADER_BYTES, valueAt));
  if (found !== label) {
    throw new VarlogError('IDENTITY_MISMATCH', {
      what: `${path} belongs to "${found}", not to "${label}"`,
      because: 'the folder was copied, restored or swapped',
      next: 'give each node its own folder',
      details: { path, expected: label, found },
    });
  }
  return { valueAt, valueBytes: view.getUint32(12, true) };
}

/** Whose a state file says it is, unchecked; `undefined` where there is no file. */
export async function labelOfStateFile(disk: Disk, path: string): Promise<string | undefined> {
  const file = await disk.open(path, 'existing').catch((error: unknown) => {
    if (VarlogError.is(error, 'NOT_FOUND')) return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const end = valueOffsetOf(await file.read(0, STATE_HEADER_BYTES));
    // A damaged length must not make a reader ask for more than there is.
    const header = await file.read(0, Math.min(end, await file.size()));
    return new TextDecoder().decode(header.subarray(STATE_HEADER_BYTES));
  } finally {
    await file.close();
  }
}
