import { formatUnknown, VarlogError } from '../base/index.ts';
import { crc32c } from './crc32c.ts';
import { getUint64, setUint64, viewOf } from './frame.ts';

/** `VAB` and the version as a digit. */
const MAGIC = 0x31424156;
const NAME_MASK = 0xffffff;
const HEADER_BYTES = 32;
const WRITE_HEADER_BYTES = 15;
const SETTLED_HEADER_BYTES = 3;
const WRITE = 1;
const SETTLED = 2;

/** Bytes of a file, from `offset` on; `name` is its path in the folder of the write-ahead log. */
export interface WriteEntry {
  readonly kind: 'write';
  readonly name: Uint8Array;
  readonly offset: number;
  readonly chunks: readonly Uint8Array[];
}

/** What was written to this file, or to a file of this name, before this entry is not to be written again. */
export interface SettledEntry {
  readonly kind: 'settled';
  readonly name: Uint8Array;
}

export type BlockEntry = WriteEntry | SettledEntry;

/** What one write makes durable. */
export interface Block {
  /** Each block has the next one, over both files. */
  readonly number: number;
  /** Blocks below this one are of no use any more: what they say is durable in the files themselves. */
  readonly oldest: number;
  readonly entries: readonly BlockEntry[];
}

/** Bytes of a block with this entry alone: no more than that in one with others. */
export function blockBytes(entry: BlockEntry): number {
  return HEADER_BYTES + entryBytes(entry);
}

function entryBytes(entry: BlockEntry): number {
  const { kind, name } = entry;
  if (kind === 'settled') return SETTLED_HEADER_BYTES + name.length;
  return WRITE_HEADER_BYTES + name.length + bytesOf(entry.chunks);
}

export function bytesOf(chunks: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.length;
  return bytes;
}

/**
 * A block, little endian: checksum of all that follows (uint32), magic (uint32), tag of the write-ahead log (uint32), length of the
 * entries (uint32), number and oldest (uint64 each), entries. An entry: kind (uint8), length of the name (uint16) and, for a
 * write, offset (uint64) and number of bytes (uint32); then the name (UTF-8) and the bytes. With it comes where the bytes of
 * each entry lie in the block.
 */
export function encodeBlock(
  { number, oldest, entries }: Block,
  tag: number,
): { bytes: Uint8Array; payloads: Uint8Array[] } {
  let length = HEADER_BYTES;
  for (const entry of entries) length += entryBytes(entry);
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  const payloads: Uint8Array[] = [];
  let at = HEADER_BYTES;
  for (const entry of entries) {
    const { kind, name } = entry;
    view.setUint8(at, kind === 'write' ? WRITE : SETTLED);
    view.setUint16(at + 1, name.length, true);
    const begin = at + (kind === 'write' ? WRITE_HEADER_BYTES : SETTLED_HEADER_BYTES) + name.length;
    bytes.set(name, begin - name.length);
    let end = begin;
    if (kind === 'write') {
      for (const chunk of entry.chunks) {
        bytes.set(chunk, end);
        end += chunk.length;
      }
      setUint64(view, at + 3, entry.offset);
      view.setUint32(at + 11, end - begin, true);
    }
    payloads.push(bytes.subarray(begin, end));
    at = end;
  }
  view.setUint32(4, MAGIC, true);
  view.setUint32(8, tag, true);
  view.setUint32(12, length - HEADER_BYTES, true);
  setUint64(view, 16, number);
  setUint64(view, 24, oldest);
  view.setUint32(0, crc32c(bytes, 4, length), true);
  return { bytes, payloads };
}

/** Where a block was read, for errors. */
export interface BlockSource {
  /** For people. */
  readonly path: string;
  readonly tag: number;
}

/**
 * The block at `at`, and where it ends; `undefined` where there is none that is whole. Throws `FORMAT_UNKNOWN` for one of a
 * later version and `IDENTITY_MISMATCH` for one of another write-ahead log.
 */
export function decodeBlock(
  bytes: Uint8Array,
  at: number,
  { path, tag }: BlockSource,
): { block: Block; end: number } | undefined {
  if (at + HEADER_BYTES > bytes.length) return undefined;
  const view = viewOf(bytes);
  const magic = view.getUint32(at + 4, true);
  const end = at + HEADER_BYTES + view.getUint32(at + 12, true);
  if ((magic & NAME_MASK) !== (MAGIC & NAME_MASK) || end > bytes.length) return undefined;
  if (crc32c(bytes, at + 4, end) !== view.getUint32(at, true)) return undefined;
  if (magic !== MAGIC) {
    const found = `version ${(magic >>> 24) - 0x30}`;
    throw formatUnknown({ what: path, path, found, reads: 'version 1' });
  }
  if (view.getUint32(at + 8, true) !== tag) {
    throw new VarlogError('IDENTITY_MISMATCH', {
      what: `${path} belongs to another folder`,
      because: 'the folder was copied, restored or swapped in part',
      next: 'give each node its own folder',
      details: { path },
    });
  }
  const number = getUint64(view, at + 16);
  const oldest = getUint64(view, at + 24);
  return {
    block: { number, oldest, entries: entriesOf(bytes, at + HEADER_BYTES, end, path) },
    end,
  };
}

function entriesOf(bytes: Uint8Array, begin: number, end: number, path: string): BlockEntry[] {
  const view = viewOf(bytes);
  const entries: BlockEntry[] = [];
  let at = begin;
  while (at < end) {
    const kind = view.getUint8(at);
    const nameBytes = view.getUint16(at + 1, true);
    if (kind === SETTLED) {
      const nameAt = at + SETTLED_HEADER_BYTES;
      at = nameAt + nameBytes;
      entries.push({ kind: 'settled', name: bytes.subarray(nameAt, at) });
    } else if (kind === WRITE) {
      const nameAt = at + WRITE_HEADER_BYTES;
      const offset = getUint64(view, at + 3);
      const payloadAt = nameAt + nameBytes;
      const name = bytes.subarray(nameAt, payloadAt);
      at = payloadAt + view.getUint32(at + 11, true);
      entries.push({ kind: 'write', name, offset, chunks: [bytes.subarray(payloadAt, at)] });
    } else {
      throw formatUnknown({ what: path, path, found: `entry ${kind}`, reads: 'entries 1 and 2' });
    }
  }
  return entries;
}

/** Whether a whole block that is newer than `number` begins behind `at`. */
export function hasNewerBlock(
  bytes: Uint8Array,
  at: number,
  number: number,
  source: BlockSource,
): boolean {
  const name = Uint8Array.of(MAGIC & 0xff, (MAGIC >>> 8) & 0xff, (MAGIC >>> 16) & 0xff);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (
    let found = buffer.indexOf(name, at + 4);
    found >= 0;
    found = buffer.indexOf(name, found + 1)
  ) {
    const decoded = decodeBlock(bytes, found - 4, source);
    if (decoded !== undefined && decoded.block.number > number) return true;
  }
  return false;
}
