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
  readonly payload: Uint8Array;
}

/**
 * A frame on disk, little endian:
 *
 * ```
 *    0  checksum   uint32   CRC-32C of all that follows, header and payload
 *    4  magic      uint32
 *    8  tag        uint32   the checksum of the segment's header: stands for stream, generation and file
 *   12  previous   uint32   the checksum of the frame before (the tag for the first one in a segment)
 *   16  length     uint32   of the payload
 *   20  count      uint32
 *   24  position   uint64
 *   32  epoch      uint64
 *   40  durableEnd uint64   the last position that was known durable when this was written
 *   48  payload
 * ```
 *
 * `previous` makes the frames a chain, so a well-formed frame that an earlier life of the file left
 * behind does not fit. `durableEnd` lets recovery tell a torn tail from damage: a frame that is
 * found behind a hole proves that everything up to its `durableEnd` had been synced.
 */
export const FRAME_HEADER_BYTES = 48;
export const FRAME_MAGIC = 0x314652d7;
/** The first byte of the magic as it lies in the file. */
export const FRAME_MAGIC_BYTE = FRAME_MAGIC & 0xff;

const TWO_32 = 2 ** 32;

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
  view.setUint32(at + 4, FRAME_MAGIC, true);
  view.setUint32(at + 8, link.tag, true);
  view.setUint32(at + 12, link.previous, true);
  view.setUint32(at + 16, frame.payload.length, true);
  view.setUint32(at + 20, frame.count, true);
  setUint64(view, at + 24, frame.position);
  setUint64(view, at + 32, frame.epoch);
  setUint64(view, at + 40, link.durableEnd);
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
 * takes when `bytes` ends too early to tell.
 */
export function decodeFrame(
  bytes: Uint8Array,
  view: DataView,
  at: number,
): StoredFrame | number | undefined {
  if (at + FRAME_HEADER_BYTES > bytes.length) return FRAME_HEADER_BYTES;
  if (view.getUint32(at + 4, true) !== FRAME_MAGIC) return undefined;
  const size = FRAME_HEADER_BYTES + view.getUint32(at + 16, true);
  if (at + size > bytes.length) return size;
  const checksum = view.getUint32(at, true);
  if (crc32c(bytes, at + 4, at + size) !== checksum) return undefined;
  return {
    position: getUint64(view, at + 24),
    count: view.getUint32(at + 20, true),
    epoch: getUint64(view, at + 32),
    payload: bytes.subarray(at + FRAME_HEADER_BYTES, at + size),
    tag: view.getUint32(at + 8, true),
    previous: view.getUint32(at + 12, true),
    durableEnd: getUint64(view, at + 40),
    checksum,
  };
}

export function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}

export function getUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
