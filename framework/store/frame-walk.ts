import type { DiskFile } from '../base/index.ts';
import { decodeFrame, FRAME_HEADER_BYTES, type StoredFrame, viewOf } from './frame.ts';

/** A frame boundary, and what the frame there must continue. */
export interface Cursor {
  readonly offset: number;
  readonly position: number;
  /** The checksum of the frame before; `undefined` when the walk begins in the middle. */
  readonly previous: number | undefined;
}

/** Where a walk stopped: the visitor had enough, or no intact frame continues the chain there. */
export interface WalkEnd extends Cursor {
  readonly stopped: 'enough' | 'invalid';
}

/**
 * Visits the frames of a segment file one after the other from a boundary on, for as long as each is
 * intact, carries the segment's tag and continues the one before, and `visit` answers true.
 * Reads the file in pieces of about `pieceBytes`; payloads are views of them.
 */
export async function walkFrames(
  file: DiskFile,
  tag: number,
  start: Cursor,
  pieceBytes: number,
  visit: (frame: StoredFrame, offset: number) => boolean,
): Promise<WalkEnd> {
  let { offset, position, previous } = start;
  let needed = FRAME_HEADER_BYTES;
  let limit: number | undefined;
  for (;;) {
    const length = Math.max(needed, pieceBytes);
    const piece = await file.read(offset, length);
    const atEnd = piece.length < length;
    const view = viewOf(piece);
    let at = 0;
    for (;;) {
      const frame = decodeFrame(piece, view, at);
      if (typeof frame === 'number') {
        limit ??= await file.size();
        if (atEnd || offset + at + frame > limit) {
          return { offset: offset + at, position, previous, stopped: 'invalid' };
        }
        needed = frame;
        break;
      }
      if (frame === undefined || !continues(frame, tag, position, previous)) {
        return { offset: offset + at, position, previous, stopped: 'invalid' };
      }
      if (!visit(frame, offset + at)) {
        return { offset: offset + at, position, previous, stopped: 'enough' };
      }
      at += FRAME_HEADER_BYTES + frame.payload.length;
      position += frame.count;
      previous = frame.checksum;
    }
    offset += at;
  }
}

function continues(
  frame: StoredFrame,
  tag: number,
  position: number,
  previous: number | undefined,
): boolean {
  return (
    frame.tag === tag &&
    frame.position === position &&
    frame.count > 0 &&
    (previous === undefined || frame.previous === previous)
  );
}
