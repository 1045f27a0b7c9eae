import type { DiskFile } from '../base/index.ts';
import { walkFrames } from './frame-walk.ts';
import type { Segment } from './segment.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';

/** What is told of frames that are freed together: those of one file of a log. */
export interface Stretch {
  /** Position of its first frame. */
  readonly first: number;
  /** Bytes of its frames on this disk; zeros at the end of the last one may be missing. */
  readonly bytes: number;
  /** Timestamp of its first frame, in milliseconds since 1970; 0: not known, or no frame. */
  readonly since: number;
}

const HEAD_BYTES = 4096;
const TAIL_BYTES = 64 * 1024;

/**
 * The stretches of a log whose last segment ends at byte `offset`, ascending. A segment is asked for its size and its
 * first frame once: only the last one still grows.
 */
export async function stretchesOf(
  segments: readonly Segment[],
  offset: number,
): Promise<Stretch[]> {
  const found: Stretch[] = [];
  for (const [i, segment] of segments.entries()) {
    const { cuts } = segment;
    const isLast = i === segments.length - 1;
    const end = isLast ? offset : (segment.size ?? (await segment.use(endOfBytes)));
    const isEmpty = end <= SEGMENT_HEADER_BYTES;
    const since = isEmpty ? 0 : (segment.since ?? (await firstTimestamp(segment)));
    if (cuts === segment.cuts) {
      if (!isLast) segment.size = end;
      if (!isEmpty) segment.since = since;
    }
    found.push({ first: segment.first, bytes: Math.max(0, end - SEGMENT_HEADER_BYTES), since });
  }
  return found;
}

/**
 * Where the last byte ends that is not zero: zeros that were prepared for frames may be there again after a power loss.
 * Those that end a payload are taken for such.
 */
async function endOfBytes(file: DiskFile): Promise<number> {
  let end = await file.size();
  while (end > 0) {
    const begin = Math.max(0, end - TAIL_BYTES);
    const piece = await file.read(begin, end - begin);
    const last = piece.findLastIndex((it) => it !== 0);
    if (last >= 0) return begin + last + 1;
    end = begin;
  }
  return 0;
}

/** 0 also where the frame is damaged: whoever reads it hears of that. */
async function firstTimestamp(segment: Segment): Promise<number> {
  const start = { ...segment.boundary(segment.first), previous: undefined };
  let found = 0;
  await segment.use((file) =>
    walkFrames(file, segment, start, HEAD_BYTES, ({ timestamp = 0 }) => {
      found = timestamp;
      return false;
    }),
  );
  return found;
}
