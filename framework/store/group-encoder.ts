import { encodeFrame, FRAME_HEADER_BYTES, type Frame, viewOf } from './frame.ts';

/** From here on a payload is handed to the disk as it is; a smaller one is cheaper to copy. */
const SEPARATE_BYTES_MIN = 32 * 1024;
/** A buffer up to this size is kept for the next group. */
const KEPT_BYTES_MAX = 256 * 1024;

/** What goes to the disk in one write. */
export interface EncodedGroup {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  /** The checksum of the last frame. */
  readonly checksum: number;
  /** Where each frame lies, from the start of the group. */
  readonly offsets: readonly number[];
}

/**
 * Lays frames out for one contiguous write. Small payloads are gathered in one buffer, which is used
 * again: a group must be written before the next one is encoded.
 */
export class GroupEncoder {
  private kept = new Uint8Array(0);

  encode(
    frames: readonly Frame[],
    tag: number,
    previous: number,
    durableEnd: number,
  ): EncodedGroup {
    const target = this.buffer(frames);
    const view = viewOf(target);
    const chunks: Uint8Array[] = [];
    const offsets = new Array<number>(frames.length);
    let checksum = previous;
    let at = 0;
    let chunkStart = 0;
    let bytes = 0;
    for (let i = 0; i < frames.length; i++) {
      const frame = frames[i]!;
      const { length } = frame.payload;
      const inline = length < SEPARATE_BYTES_MIN;
      offsets[i] = bytes;
      checksum = encodeFrame(
        target,
        view,
        at,
        frame,
        { tag, previous: checksum, durableEnd },
        inline,
      );
      at += FRAME_HEADER_BYTES + (inline ? length : 0);
      bytes += FRAME_HEADER_BYTES + length;
      if (!inline) {
        chunks.push(target.subarray(chunkStart, at), frame.payload);
        chunkStart = at;
      }
    }
    if (at > chunkStart) chunks.push(target.subarray(chunkStart, at));
    return { chunks, bytes, checksum, offsets };
  }

  private buffer(frames: readonly Frame[]): Uint8Array {
    let size = 0;
    for (const { payload } of frames) {
      size += FRAME_HEADER_BYTES + (payload.length < SEPARATE_BYTES_MIN ? payload.length : 0);
    }
    if (size <= this.kept.length) return this.kept;
    if (size > KEPT_BYTES_MAX) return new Uint8Array(size);
    this.kept = new Uint8Array(Math.min(KEPT_BYTES_MAX, Math.max(4096, size * 2)));
    return this.kept;
  }
}
