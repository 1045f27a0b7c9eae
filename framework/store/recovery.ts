import { type DiskFile, VarlogError } from '../base/index.ts';
import {
  decodeFrame,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC_AT,
  FRAME_MAGIC_BYTE,
  frameEnd,
  isFrameMagic,
  type StoredFrame,
  viewOf,
} from './frame.ts';
import { unknownFrame, type WalkEnd, walkFrames } from './frame-walk.ts';
import { damaged, LogFiles } from './log-files.ts';
import { INITIAL_STATE, type LogState, logStateFormat } from './log-state.ts';
import type { LogPlace, WritePosition } from './new-segment.ts';
import { parseSegmentName, Segment } from './segment.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { StateFile } from './state-file.ts';

const PIECE_BYTES = 1024 * 1024;

/**
 * Opens the files of a log; one that has none gets them with its first frames. Everything up to the end is durable when this resolves.
 *
 * The log ends at the first frame that is not whole, if that can be the torn end of an interrupted
 * write. It cannot, and is damage (`CORRUPT`), when the position there is known to have been synced:
 * because the state file says so, because a later segment exists (one is begun only when the one
 * before is synced), or because an intact frame after the hole says so. The one thing that cannot be told from a
 * torn end is damage of the very last group that was written.
 */
export async function openLogFiles(place: LogPlace): Promise<LogFiles> {
  const { disk, directory, label, remedy } = place;
  // This also syncs the folder: names that a killed process left must not vanish under what follows.
  const path = `${directory}/state`;
  const stateFile = await StateFile.open(disk, path, label, logStateFormat, remedy);
  const state = stateFile.value;
  if (state === undefined) return unmadeLogFiles(place, stateFile);
  const segments = await openSegments(place, state);
  const tail = segments.at(-1)!;
  await tail.pin();
  try {
    const at = await tail.use((file) => recoverTail(tail, file, { state, place }));
    if (!place.staysOpen) await tail.unpin();
    return new LogFiles(place, stateFile, segments, at);
  } catch (error) {
    await tail.unpin();
    throw error;
  }
}

/** Removes what a crash left of the making of a log. */
async function unmadeLogFiles(place: LogPlace, stateFile: StateFile<LogState>): Promise<LogFiles> {
  const { disk, directory } = place;
  for (const name of await disk.list(directory)) {
    const path = `${directory}/${name}`;
    if (parseSegmentName(name) !== undefined) await refuseFrames(place, path);
    if (parseSegmentName(name.replace(/\.new$/, '')) !== undefined) await disk.remove(path);
  }
  const offset = SEGMENT_HEADER_BYTES;
  const nothing = { end: INITIAL_STATE.first - 1, offset, checksum: 0, size: offset };
  return new LogFiles(place, stateFile, [], nothing);
}

async function refuseFrames(place: LogPlace, path: string): Promise<void> {
  const file = await place.disk.open(path, 'existing');
  try {
    const size = await file.size();
    if ((await findNonZero(file, SEGMENT_HEADER_BYTES, size)) === undefined) return;
  } finally {
    await file.close();
  }
  const directory = place.disk.pathOf(place.directory);
  throw new VarlogError('CORRUPT', {
    what: `${directory} has segments but no state file`,
    because: 'a file was deleted, or a copy of the folder is not complete',
    next: place.remedy,
    details: { path: `${directory}/state`, offset: 0 },
  });
}

/** The segments that belong to the log, oldest first. Removes what a crash left of others, once these can be read. */
async function openSegments(place: LogPlace, state: LogState): Promise<Segment[]> {
  const { disk, directory } = place;
  const firsts: number[] = [];
  const names = new Map<number, string>();
  const remains: string[] = [];
  for (const name of await disk.list(directory)) {
    const parsed = parseSegmentName(name.replace(/\.new$/, ''));
    if (parsed === undefined) continue;
    if (name.endsWith('.new') || parsed.generation !== state.generation) {
      remains.push(`${directory}/${name}`);
    } else {
      firsts.push(parsed.first);
      names.set(parsed.first, name);
    }
  }
  firsts.sort((a, b) => a - b);
  while (firsts.length > 1 && firsts[1]! <= state.first) {
    remains.push(`${directory}/${names.get(firsts.shift()!)}`);
  }
  if (firsts.length === 0 || firsts[0]! > state.first) throw missing(place, state.first);
  if (firsts.at(-1)! < state.newest) throw missing(place, state.newest);
  const segments: Segment[] = [];
  for (const first of firsts) {
    const path = `${directory}/${names.get(first)}`;
    const segment = await openSegment(place, path, state.generation, first);
    const previous = segments.at(-1);
    if (previous !== undefined && segment.previousFirst !== previous.first) {
      throw missing(place, segment.previousFirst);
    }
    segments.push(segment);
  }
  for (const path of remains) await disk.remove(path);
  return segments;
}

async function openSegment(
  place: LogPlace,
  path: string,
  generation: number,
  first: number,
): Promise<Segment> {
  const file = await place.disk.open(path, 'existing');
  try {
    const bytes = await file.read(0, SEGMENT_HEADER_BYTES);
    const shownPath = place.disk.pathOf(path);
    const header = decodeSegmentHeader(bytes, shownPath, place);
    if (header.first !== first || header.generation !== generation) {
      throw damaged(shownPath, { offset: 0, position: first }, place);
    }
    const segment = new Segment(place.disk, path, header);
    segment.fileBytes = await file.size();
    return segment;
  } finally {
    await file.close();
  }
}

/** Finds the end of the last segment, makes sure of what is there, and clears what lies after it. */
async function recoverTail(
  tail: Segment,
  file: DiskFile,
  { state, place }: { state: LogState; place: LogPlace },
): Promise<WritePosition> {
  let proven = Math.max(state.durable, tail.first - 1);
  let provenOffset = SEGMENT_HEADER_BYTES;
  let unproven: { end: number; endOffset: number }[] = [];
  const start = { offset: SEGMENT_HEADER_BYTES, position: tail.first, previous: tail.tag };
  let size = await file.size();
  const pieceBytes = Math.min(PIECE_BYTES, Math.max(FRAME_HEADER_BYTES, size - start.offset));
  const stop = await walkFrames(file, tail, start, pieceBytes, (frame, offset) => {
    tail.note(frame.position, offset);
    unproven.push({ end: frameEnd(frame), endOffset: offset + frame.size });
    if (frame.durableEnd > proven || unproven[0]!.end <= proven) {
      proven = Math.max(proven, frame.durableEnd);
      for (const it of unproven) if (it.end <= proven) provenOffset = it.endOffset;
      unproven = unproven.filter((it) => it.end > proven);
    }
    return true;
  });
  const nonZero = await findNonZero(file, stop.offset, size);
  if (stop.position <= proven || (await provenBehind(file, tail, stop, nonZero))) {
    throw damaged(tail.shownPath, stop, place);
  }
  // After a sync that failed, the system may show bytes that are not on the disk, and call them
  // clean. Written again they are dirty again, and the next sync is honest.
  await rewrite(file, provenOffset, stop.offset);
  if (nonZero !== undefined) {
    // Nothing that lay there may come back under what is appended next.
    await file.truncate(stop.offset);
    size = stop.offset;
  }
  await file.sync();
  const { offset, previous } = stop;
  return { end: stop.position - 1, offset, checksum: previous ?? tail.tag, size };
}

/** Whether an intact frame after the place where the log seems to end, at `nonZero` or later, says that more was synced. */
async function provenBehind(
  file: DiskFile,
  { shownPath, tag }: Segment,
  stop: WalkEnd,
  nonZero: number | undefined,
): Promise<boolean> {
  const size = await file.size();
  let offset = nonZero;
  while (offset !== undefined && offset < size) {
    const piece = await file.read(offset, PIECE_BYTES);
    const view = viewOf(piece);
    let at = piece.indexOf(FRAME_MAGIC_BYTE);
    while (at >= 0) {
      // The magic lies behind the checksum, and perhaps across the end of this piece.
      if (at + 4 > piece.length || isFrameMagic(view.getUint32(at, true))) {
        const begin = offset + at - FRAME_MAGIC_AT;
        const frame = await readFrame(file, begin, size);
        if (frame?.tag === tag) {
          if (frame.unknown !== undefined) throw unknownFrame(shownPath, begin, frame);
          if (frame.durableEnd >= stop.position) return true;
        }
      }
      at = piece.indexOf(FRAME_MAGIC_BYTE, at + 1);
    }
    offset = await findNonZero(file, offset + piece.length, size);
  }
  return false;
}

async function readFrame(
  file: DiskFile,
  offset: number,
  size: number,
): Promise<StoredFrame | undefined> {
  let bytes = await file.read(offset, FRAME_HEADER_BYTES);
  let frame = decodeFrame(bytes, viewOf(bytes), 0);
  if (typeof frame === 'number' && offset + frame <= size) {
    bytes = await file.read(offset, frame);
    frame = decodeFrame(bytes, viewOf(bytes), 0);
  }
  return typeof frame === 'object' ? frame : undefined;
}

async function rewrite(file: DiskFile, from: number, to: number): Promise<void> {
  for (let offset = from; offset < to; offset += PIECE_BYTES) {
    const bytes = await file.read(offset, Math.min(PIECE_BYTES, to - offset));
    await file.write(offset, [bytes]);
  }
}

async function findNonZero(
  file: DiskFile,
  from: number,
  size: number,
): Promise<number | undefined> {
  for (let offset = from; offset < size; offset += PIECE_BYTES) {
    const piece = await file.read(offset, Math.min(PIECE_BYTES, size - offset));
    const at = firstNonZero(piece);
    if (at !== undefined) return offset + at;
  }
  return undefined;
}

/** What is prepared for a log is zeros, and most of its file: four bytes are looked at at a time. */
function firstNonZero(bytes: Uint8Array): number | undefined {
  const { length } = bytes;
  const view = viewOf(bytes);
  let at = 0;
  while (at + 4 <= length && view.getUint32(at, true) === 0) at += 4;
  while (at < length && bytes[at] === 0) at++;
  return at < length ? at : undefined;
}

function missing({ disk, directory: inside, remedy }: LogPlace, first: number): VarlogError {
  const directory = disk.pathOf(inside);
  return new VarlogError('CORRUPT', {
    what: `${directory} lacks the segment with position ${first}`,
    because: 'a file was deleted, or a copy of the folder is not complete',
    next: remedy,
    details: { path: directory, position: first },
  });
}
