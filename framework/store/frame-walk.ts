import { type DiskFile, formatUnknown, type VarlogError } from '../base/index.ts';
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

/** The file that is walked: where it is, for people, and the tag that its frames carry. */
export interface Walked {
  readonly shownPath: string;
  readonly tag: number;
}

/**
 * Visits the frames of a segment file one after the other from a boundary on, for as long as each is
 * intact, carries the segment's tag and continues the one before, and `visit` answers true.
 * Reads the file in pieces of about `pieceBytes`; payloads are views of them. Throws `FORMAT_UNKNOWN` where the
 * chain goes on with a frame of a later version.
 */
export async function walkFrames(
  file: DiskFile,
  segment: Walked,
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
      if (frame === undefined || !isLinked(frame, segment.tag, previous)) {
        return { offset: offset + at, position, previous, stopped: 'invalid' };
      }
      if (frame.unknown !== undefined) throw unknownFrame(segment.shownPath, offset + at, frame);
      if (frame.position !== position || frame.count === 0) {
        return { offset: offset + at, position, previous, stopped: 'invalid' };
      }
      if (!visit(frame, offset + at)) {
        return { offset: offset + at, position, previous, stopped: 'enough' };
      }
      at += frame.size;
      position += frame.count;
      previous = frame.checksum;
    }
    offset += at;
  }
}

function isLinked(frame: StoredFrame, tag: number, previous: number | undefined): boolean {
  return frame.tag === tag && (previous === undefined || frame.previous === previous);
}

/** A frame that is whole and belongs there, and that only a later version can read. */
export function unknownFrame(
  path: string,
  offset: number,
  { unknown = '' }: StoredFrame,
): VarlogError {
  const what = `the frame at byte ${offset} of ${path}`;
  return formatUnknown({ what, path, found: unknown, reads: 'versions 1 and 2 without flags' });
}
