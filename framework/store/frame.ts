import { crc32c } from './crc32c.ts';

/**
 * What the log stores: an opaque payload that covers the positions `position` …
 * `position + count - 1`. The payload is referred to, not copied: leave its bytes alone once given.
 */
export interface Frame {
  readonly position: number;
  /** How many positions the payload covers, at least 1. */
  readonly count: number;
  /** The term or epoch it was written in. */
  readonly epoch: number;
  /** Milliseconds since 1970, a whole number; 0 or absent where nobody gave it one. */
  readonly timestamp?: number;
  readonly payload: Uint8Array;
}

/**
 * A frame on disk, little endian:
 *
 * ```
 *    0  checksum      uint32   CRC-32C of all that follows, header and payload
 *    4  magic         uint32
 *    8  version       uint8    2
 *    9  headerLength  uint8    60; the payload begins there, whatever a longer header holds before it
 *   10  flags         uint8    0; who does not know one that is set must not read on
 *   11  hints         uint8    0; one that is not known may be ignored
 *   12  tag           uint32   the checksum of the segment's header: stands for stream, generation and file
 *   16  previous      uint32   the checksum of the frame before (the tag for the first one in a segment)
 *   20  length        uint32   of the payload
 *   24  count         uint32
 *   28  position      uint64
 *   36  epoch         uint64
 *   44  durableEnd    uint64   the last position that was known durable when this was written
 *   52  timestamp     uint64
 *   60  payload
 * ```
 *
 * `previous` makes the frames a chain, so a well-formed frame that an earlier life of the file left
 * behind does not fit. `durableEnd` lets recovery tell a torn tail from damage: a frame that is
 * found after a hole proves that everything up to its `durableEnd` had been synced. What lies before
 * `count` stays where it is in all versions to come: so a frame of a later one is known to be whole.
 *
 * Version 1, which is still read, has another magic, neither version, headerLength, flags, hints nor
 * timestamp, and else the same fields in the same order: 48 bytes.
 */
const FRAME_VERSION = 2;
export const FRAME_HEADER_BYTES = 60;
const MAGIC = 0x564652d7;
const PREFIX_BYTES = 24;

const MAGIC_1 = 0x314652d7;
const HEADER_1_BYTES = 48;

/** The first byte of any frame's magic as it lies in the file, and where that is. */
export const FRAME_MAGIC_BYTE = 0xd7;
export const FRAME_MAGIC_AT = 4;

const TWO_32 = 2 ** 32;

/** Whether a frame may have it, of whichever version. */
export function isFrameMagic(magic: number): boolean {
  return magic === MAGIC || magic === MAGIC_1;
}

/** The bytes that a frame takes when it is written. */
export function frameBytes(frame: Frame): number {
  return FRAME_HEADER_BYTES + frame.payload.length;
}

/** The last position a frame covers. */
export function frameEnd(frame: Frame): number {
  return frame.position + frame.count - 1;
}

/** How a frame hangs together with the file around it. */
export interface FrameLink {
  readonly tag: number;
  readonly previous: number;
  readonly durableEnd: number;
}

/** A frame that was found in a file, with its link and its checksum. */
export interface StoredFrame extends Frame, FrameLink {
  readonly checksum: number;
  /** Bytes that it takes in the file. */
  readonly size: number;
  /** Set when a later version wrote it: what is not known of it. All but tag, previous, checksum and size is void then. */
  readonly unknown: string | undefined;
}

/** Writes header (and payload, when `inline`) at `at`; returns the checksum. */
export function encodeFrame(
  target: Uint8Array,
  view: DataView,
  at: number,
  frame: Frame,
  link: FrameLink,
  inline: boolean,
): number {
  view.setUint32(at + 4, MAGIC, true);
  // Version, length of the header, no flags, no hints.
  view.setUint32(at + 8, FRAME_VERSION | (FRAME_HEADER_BYTES << 8), true);
  view.setUint32(at + 12, link.tag, true);
  view.setUint32(at + 16, link.previous, true);
  view.setUint32(at + 20, frame.payload.length, true);
  view.setUint32(at + 24, frame.count, true);
  setUint64(view, at + 28, frame.position);
  setUint64(view, at + 36, frame.epoch);
  setUint64(view, at + 44, link.durableEnd);
  setUint64(view, at + 52, frame.timestamp ?? 0);
  const headerEnd = at + FRAME_HEADER_BYTES;
  let checksum: number;
  if (inline) {
    target.set(frame.payload, headerEnd);
    checksum = crc32c(target, at + 4, headerEnd + frame.payload.length);
  } else {
    checksum = crc32c(frame.payload, 0, frame.payload.length, crc32c(target, at + 4, headerEnd));
  }
  view.setUint32(at, checksum, true);
  return checksum;
}

/**
 * The frame at `at`; `undefined` when there is none that is whole and intact; the number of bytes it
 * takes, or more than there are, when `bytes` ends too early to tell.
 */
export function decodeFrame(
  bytes: Uint8Array,
  view: DataView,
  at: number,
): StoredFrame | number | undefined {
  if (at + PREFIX_BYTES > bytes.length) return PREFIX_BYTES;
  const magic = view.getUint32(at + 4, true);
  if (magic !== MAGIC) return magic === MAGIC_1 ? decodeFrame1(bytes, view, at) : undefined;
  const headerLength = view.getUint8(at + 9);
  const size = headerLength + view.getUint32(at + 20, true);
  if (at + size > bytes.length) return size;
  if (headerLength < PREFIX_BYTES) return undefined;
  const checksum = view.getUint32(at, true);
  if (crc32c(bytes, at + 4, at + size) !== checksum) return undefined;
  const tag = view.getUint32(at + 12, true);
  const previous = view.getUint32(at + 16, true);
  const unknown = unknownIn(view.getUint8(at + 8), view.getUint8(at + 10));
  const payload = bytes.subarray(at + headerLength, at + size);
  if (unknown !== undefined) {
    const nothing = { position: 0, count: 0, epoch: 0, timestamp: 0, durableEnd: 0 };
    return { ...nothing, payload, tag, previous, checksum, size, unknown };
  }
  if (headerLength < FRAME_HEADER_BYTES) return undefined;
  return {
    position: getUint64(view, at + 28),
    count: view.getUint32(at + 24, true),
    epoch: getUint64(view, at + 36),
    timestamp: getUint64(view, at + 52),
    payload,
    tag,
    previous,
    durableEnd: getUint64(view, at + 44),
    checksum,
    size,
    unknown,
  };
}

function unknownIn(version: number, flags: number): string | undefined {
  if (version !== FRAME_VERSION) return `version ${version}`;
  return flags === 0 ? undefined : `flags 0x${flags.toString(16)}`;
}

function decodeFrame1(
  bytes: Uint8Array,
  view: DataView,
  at: number,
): StoredFrame | number | undefined {
  if (at + HEADER_1_BYTES > bytes.length) return HEADER_1_BYTES;
  const size = HEADER_1_BYTES + view.getUint32(at + 16, true);
  if (at + size > bytes.length) return size;
  const checksum = view.getUint32(at, true);
  if (crc32c(bytes, at + 4, at + size) !== checksum) return undefined;
  return {
    position: getUint64(view, at + 24),
    count: view.getUint32(at + 20, true),
    epoch: getUint64(view, at + 32),
    timestamp: 0,
    payload: bytes.subarray(at + HEADER_1_BYTES, at + size),
    tag: view.getUint32(at + 8, true),
    previous: view.getUint32(at + 12, true),
    durableEnd: getUint64(view, at + 40),
    checksum,
    size,
    unknown: undefined,
  };
}

export function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, value / TWO_32, true);
}

export function getUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
