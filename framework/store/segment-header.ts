import { formatUnknown, VarlogError } from '../base/index.ts';
import { crc32c } from './crc32c.ts';
import { getUint64, setUint64, viewOf } from './frame.ts';

/** Frames begin here: the header has a block of its own. */
export const SEGMENT_HEADER_BYTES = 4096;
const MAGIC = 0x314c5256;
/** A segment of this version holds frames of version 2. */
export const SEGMENT_VERSION = 2;
/** One of this version holds frames of version 1: it is read, and nothing is added to it. */
const SEGMENT_VERSION_1 = 1;
const IDENTITY_AT = 40;
const IDENTITY_BYTES_MAX = SEGMENT_HEADER_BYTES - IDENTITY_AT;

/** What a segment file says of itself. */
export interface SegmentHeader {
  /** Which log this is part of, in words. */
  readonly label: string;
  /** Version of the file format. */
  readonly version: number;
  /** Grows when the log is reset: segments of other generations are remains. */
  readonly generation: number;
  /** The position of the segment's first frame. */
  readonly first: number;
  /** The first position of the segment before this one; 0 for none. */
  readonly previousFirst: number;
}

/**
 * The header block of a new segment, little endian: checksum of the rest, magic, version, length of the
 * label (uint32 each), generation, first, previousFirst (uint64 each), label (UTF-8), zeros.
 */
export function encodeSegmentHeader(header: Omit<SegmentHeader, 'version'>): {
  bytes: Uint8Array;
  tag: number;
} {
  const label = new TextEncoder().encode(header.label);
  if (label.length > IDENTITY_BYTES_MAX) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `the label of a log has ${label.length} bytes, at most ${IDENTITY_BYTES_MAX} are possible`,
      next: 'choose a shorter one',
    });
  }
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(4, MAGIC, true);
  view.setUint32(8, SEGMENT_VERSION, true);
  view.setUint32(12, label.length, true);
  setUint64(view, 16, header.generation);
  setUint64(view, 24, header.first);
  setUint64(view, 32, header.previousFirst);
  bytes.set(label, IDENTITY_AT);
  const tag = crc32c(bytes, 4);
  view.setUint32(0, tag, true);
  return { bytes, tag };
}

/**
 * Reads a header block. Throws `CORRUPT` when it is damaged, `FORMAT_UNKNOWN` when a later version
 * wrote it, `IDENTITY_MISMATCH` when it belongs to another log.
 */
export function decodeSegmentHeader(
  bytes: Uint8Array,
  path: string,
  { label, remedy }: { label: string; remedy: string },
): SegmentHeader & { tag: number } {
  const view = viewOf(bytes);
  const whole = bytes.length === SEGMENT_HEADER_BYTES && view.getUint32(4, true) === MAGIC;
  if (!whole || crc32c(bytes, 4) !== view.getUint32(0, true)) {
    throw new VarlogError('CORRUPT', {
      what: `the header of ${path} is damaged`,
      next: remedy,
      details: { path, offset: 0 },
    });
  }
  const version = view.getUint32(8, true);
  if (version !== SEGMENT_VERSION && version !== SEGMENT_VERSION_1) {
    const reads = `versions ${SEGMENT_VERSION_1} and ${SEGMENT_VERSION}`;
    throw formatUnknown({ what: path, path, found: `version ${version}`, reads });
  }
  const length = view.getUint32(12, true);
  const found = new TextDecoder().decode(bytes.subarray(IDENTITY_AT, IDENTITY_AT + length));
  if (found !== label) {
    throw new VarlogError('IDENTITY_MISMATCH', {
      what: `${path} belongs to "${found}", not to "${label}"`,
      because: 'the folder was copied, restored or swapped',
      next: 'give each node its own folder',
      details: { path, expected: label, found },
    });
  }
  return {
    label: found,
    version,
    generation: getUint64(view, 16),
    first: getUint64(view, 24),
    previousFirst: getUint64(view, 32),
    tag: view.getUint32(0, true),
  };
}
