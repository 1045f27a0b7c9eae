import { assert, VarlogError } from '../base/index.ts';
import { type Frame, frameEnd } from './frame.ts';
import { walkFrames } from './frame-walk.ts';
import { GroupEncoder } from './group-encoder.ts';
import { INITIAL_STATE, type LogState } from './log-state.ts';
import {
  createSegment,
  emptySegment,
  type LogPlace,
  surely,
  syncNames,
  type WritePosition,
} from './new-segment.ts';
import type { Segment } from './segment.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import type { StateFile } from './state-file.ts';
import { type Stretch, stretchesOf } from './stretches.ts';

/** Overwriting blocks that exist is a third faster to sync than making a file grow … */
const PREPARED = new Uint8Array(256 * 1024);
/** … and a small log gets as much as it has … */
const PREPARE_BYTES_MIN = 16 * 1024;
/** … until the zeros written for it cost more than that. */
const PREPARE_FOR_BYTES_MAX = 32 * 1024;
/** So much is prepared before it is needed: a full disk shows while there is room for what was promised. */
const RESERVE_BYTES = 64 * 1024;
/** Behind larger groups: given back, it makes room for a state and the header of a segment. */
const LEAST_RESERVE_BYTES = 8 * 1024;
const READ_BYTES_MIN = 64 * 1024;
const READ_BYTES_MAX = 1024 * 1024;

/**
 * The files of one log: segments and the state file. One operation that writes runs at a time, which
 * the caller sees to; reads run beside it. A log to which nothing was written has none yet: {@link roll} makes them.
 */
export class LogFiles {
  private readonly place: LogPlace;
  private readonly stateFile: StateFile<LogState>;
  private readonly encoder = new GroupEncoder();
  private segments: Segment[];
  private at: WritePosition;
  /** The disk has no room to prepare, or none for what was to be written. */
  full: VarlogError | undefined;
  /** A write that failed for want of room may have left some of its bytes after the end. */
  private torn = false;

  constructor(
    place: LogPlace,
    stateFile: StateFile<LogState>,
    segments: Segment[],
    at: WritePosition,
  ) {
    this.place = place;
    this.stateFile = stateFile;
    this.segments = segments;
    this.at = at;
  }

  /** The last position in the files, synced or not. */
  get end(): number {
    return this.at.end;
  }

  /** The first position that was not dropped, as the state file has it. */
  get first(): number {
    return this.state.first;
  }

  /** The first position of the last segment. */
  get newestSegment(): number {
    return this.segments.at(-1)?.first ?? this.first;
  }

  /** The first position of each segment, ascending. */
  get starts(): number[] {
    return this.segments.map((it) => it.first);
  }

  /** Bytes of all segments, without what was prepared behind the end; 0 where there are none. Asks no disk. */
  get bytes(): number {
    let sum = this.isUnmade ? 0 : this.at.offset;
    for (let i = 0; i < this.segments.length - 1; i++) sum += this.segments[i]!.fileBytes;
    return sum;
  }

  /** Bytes that still fit into the last segment. */
  get room(): number {
    return this.place.segmentBytes - this.at.offset;
  }

  /**
   * Whether a frame of so many bytes goes into a new segment. An empty one takes a frame of any size, one of an older
   * version none.
   */
  mustRollFor(bytes: number): boolean {
    if (this.isUnmade) return true;
    return !this.last.isCurrent || (bytes > this.room && this.at.offset > SEGMENT_HEADER_BYTES);
  }

  /**
   * Writes frames after the end, durably, in one piece. Throws `DISK_FULL` where there is no room for them: nothing has
   * changed then, and they may be written again.
   */
  async write(frames: readonly Frame[], durableEnd: number): Promise<void> {
    const { offset, checksum, size } = this.at;
    const segment = this.last;
    const group = this.encoder.encode(frames, segment.tag, checksum, durableEnd);
    const end = offset + group.bytes;
    const small = group.bytes <= PREPARE_FOR_BYTES_MAX;
    const most = small ? this.preparedFor(end) : LEAST_RESERVE_BYTES;
    // Half of it, as long as that will do: else a small log would write the zeros again with every write.
    const reserve = Math.max(LEAST_RESERVE_BYTES, Math.min(most >> 1, RESERVE_BYTES));
    const due = end + reserve > size;
    let prepared = due ? most : 0;
    const chunks = due ? [...group.chunks, PREPARED.subarray(0, prepared)] : group.chunks;
    const write = (all: readonly Uint8Array[]): Promise<void> =>
      segment.use((file) => file.writeDurably(offset, all));
    try {
      await write(chunks);
      if (due) this.full = undefined;
    } catch (error) {
      if (!VarlogError.is(error, 'DISK_FULL')) throw error;
      this.full = error;
      prepared = 0;
      this.torn = true;
      // Beyond what was prepared, they might take the last of the room: a trim could not note then what it frees.
      if (end > size) throw error;
      // The same bytes in the same place: nothing is in doubt.
      await write(group.chunks);
    }
    for (let i = 0; i < frames.length; i++) {
      segment.note(frames[i]!.position, offset + group.offsets[i]!);
    }
    this.at = {
      end: frameEnd(frames.at(-1)!),
      offset: end,
      checksum: group.checksum,
      size: Math.max(size, end + prepared),
    };
  }

  /** Prepares for what comes, and so finds out whether there is room again. */
  async prepare(): Promise<void> {
    const { offset, size } = this.at;
    try {
      if (!this.isUnmade) await this.last.use((file) => file.write(offset, [PREPARED]));
      this.at = { ...this.at, size: Math.max(size, offset + PREPARED.length) };
      this.full = undefined;
    } catch (error) {
      if (!VarlogError.is(error, 'DISK_FULL')) throw error;
      this.full = error;
    }
  }

  /** Whether something may lie after the end. */
  get isTorn(): boolean {
    return this.torn;
  }

  /** Begins a new segment, or the first one. */
  async roll(): Promise<void> {
    if (this.isUnmade) return this.make();
    const { generation } = this.state;
    const previous = this.last;
    await this.giveBack();
    previous.size = this.at.offset;
    previous.fileBytes = this.at.offset;
    const first = this.end + 1;
    // One that is empty and of an older version: the new one takes its name and its place.
    const replaces = previous.first === first;
    const before = replaces ? previous.previousFirst : previous.first;
    const segment = await createSegment(this.place, generation, first, before);
    try {
      // Else nobody would miss the newest file.
      await this.save({ durable: this.end, newest: segment.first });
    } catch (error) {
      // Left there, it would be taken for the end of the log, also of one that was cut meanwhile.
      if (!replaces) await this.removeDurably(segment);
      throw error;
    }
    this.segments = [...(replaces ? this.segments.slice(0, -1) : this.segments), segment];
    await this.writeTo(segment, emptySegment(segment, this.end));
    await previous.unpin();
  }

  /** Keeps the frames up to `end` and removes the others, durably. `end` must be the end of a frame. */
  async cut(end: number): Promise<void> {
    const keep = Math.max(0, this.indexOf(end));
    const segment = this.segments[keep]!;
    const at = await boundaryBehind(segment, end, this.place);
    assert(at !== undefined, `${end} is the end of a frame of ${segment.path}`);
    if (this.state.durable > end || this.state.newest > segment.first) {
      await this.save({ durable: end, newest: segment.first });
    }
    // Newest first, each one durably: what a crash leaves has no hole.
    for (let i = this.segments.length - 1; i > keep; i--) {
      const dropped = this.segments[i]!;
      await this.removeDurably(dropped);
      this.segments = this.segments.slice(0, i);
      await dropped.unpin();
    }
    segment.forget(at.offset);
    await segment.use(async (file) => {
      await file.truncate(at.offset);
      await surely(() => file.sync());
    });
    await this.writeTo(segment, at);
  }

  /** Stores the first position, durably, and removes the segments that lie wholly below it. */
  async trim(first: number, durableEnd: number): Promise<void> {
    await this.save({ first, durable: durableEnd });
    let keep = 0;
    while (keep + 1 < this.segments.length && this.segments[keep + 1]!.first <= first) keep++;
    const dropped = this.segments.slice(0, keep);
    this.segments = this.segments.slice(keep);
    for (const segment of dropped) await this.place.disk.remove(segment.path);
  }

  /** Replaces everything by an empty log that begins at `first`, durably. */
  async reset(first: number): Promise<void> {
    const dropped = this.segments;
    const generation = this.state.generation + 1;
    if (this.isUnmade) await this.place.disk.makeDirectory(this.place.directory);
    const segment = await this.withRoom(() => createSegment(this.place, generation, first, 0));
    await this.save({ generation, first, durable: first - 1, newest: first });
    this.segments = [segment];
    await this.writeTo(segment, emptySegment(segment, first - 1));
    for (const old of dropped) {
      await old.unpin();
      await this.place.disk.remove(old.path);
    }
  }

  /** Notes that everything up to `durableEnd` was synced: damage there is then never taken for a torn tail. */
  async saveDurableEnd(durableEnd: number): Promise<void> {
    if (this.state.durable < durableEnd) await this.save({ durable: durableEnd });
  }

  /**
   * Frames from the one that contains `from` to the one that contains `through`, about `bytesMax`
   * bytes, at least one. Throws `CORRUPT` when the file does not hold what it must.
   */
  async read(from: number, through: number, bytesMax: number): Promise<Frame[]> {
    const found: Frame[] = [];
    const pieceBytes = Math.min(READ_BYTES_MAX, Math.max(READ_BYTES_MIN, bytesMax));
    let bytes = 0;
    let full = false;
    let next = from;
    while (!full && next <= through) {
      const { segment, last } = this.segmentOf(next);
      const wanted = Math.min(last, through);
      const { cuts } = segment;
      const start = { ...segment.boundary(next), previous: undefined };
      const stop = await segment.use((file) =>
        walkFrames(file, segment, start, pieceBytes, (frame, offset) => {
          if (frame.position > wanted) return false;
          if (segment.cuts === cuts) segment.note(frame.position, offset);
          if (frameEnd(frame) < next) return true;
          full = found.length > 0 && bytes + frame.payload.length > bytesMax;
          if (full) return false;
          found.push(frame);
          bytes += frame.payload.length;
          return frameEnd(frame) < wanted;
        }),
      );
      if (stop.stopped === 'invalid' && stop.position <= wanted)
        throw damaged(segment.shownPath, stop, this.place);
      next = found.length === 0 ? last + 1 : frameEnd(found.at(-1)!) + 1;
    }
    return found;
  }

  /** See {@link stretchesOf}. Of segments that are removed meanwhile nothing is told. */
  async stretches(): Promise<Stretch[]> {
    for (;;) {
      const { segments } = this;
      try {
        if (this.isUnmade) return [{ first: this.first, bytes: 0, since: 0 }];
        return await stretchesOf(segments, this.at.offset);
      } catch (error) {
        if (segments === this.segments) throw error;
      }
    }
  }

  async close(): Promise<void> {
    for (const segment of this.segments) await segment.unpin();
  }

  private get isUnmade(): boolean {
    return this.segments.length === 0;
  }

  private get last(): Segment {
    return this.segments.at(-1)!;
  }

  private get state(): LogState {
    return this.stateFile.value ?? INITIAL_STATE;
  }

  /** Segment first, state last: without the state nothing was ever appended. */
  private async make(): Promise<void> {
    await this.place.disk.makeDirectory(this.place.directory);
    const { generation, first } = INITIAL_STATE;
    const segment = await createSegment(this.place, generation, first, 0);
    await this.stateFile.write(INITIAL_STATE);
    this.segments = [segment];
    await this.writeTo(segment, emptySegment(segment, first - 1));
  }

  /** How much is prepared behind `end`: the more, the more was written, so that a small log stays small. */
  private preparedFor(end: number): number {
    const most = Math.min(PREPARED.length, this.place.segmentBytes);
    return Math.min(most, Math.max(PREPARE_BYTES_MIN, end));
  }

  private async save(changes: Partial<LogState>): Promise<void> {
    const state = { ...this.state, ...changes };
    await this.withRoom(() => this.stateFile.write(state));
  }

  /** On a full disk, what was prepared for frames makes room for what may free some. */
  private async withRoom<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (!VarlogError.is(error, 'DISK_FULL')) throw error;
      await this.giveBack();
      return run();
    }
  }

  private async giveBack(): Promise<void> {
    const { offset, size } = this.at;
    if (size <= offset && !this.torn) return;
    await this.last.use((file) => file.truncate(offset));
    this.at = { ...this.at, size: offset };
  }

  private async removeDurably(segment: Segment): Promise<void> {
    await this.place.disk.remove(segment.path);
    await syncNames(this.place);
  }

  private async writeTo(segment: Segment, at: WritePosition): Promise<void> {
    this.at = at;
    this.torn = false;
    if (this.place.staysOpen) await segment.pin();
  }

  /** The index of the segment whose range holds `position`; -1 when it lies before all of them. */
  private indexOf(position: number): number {
    let low = 0;
    let high = this.segments.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      if (this.segments[middle]!.first <= position) low = middle + 1;
      else high = middle - 1;
    }
    return high;
  }

  private segmentOf(position: number): { segment: Segment; last: number } {
    const index = this.indexOf(position);
    assert(index >= 0, `position ${position} of ${this.place.directory} is in a segment`);
    const last = (this.segments[index + 1]?.first ?? Infinity) - 1;
    return { segment: this.segments[index]!, last };
  }
}

/** `path`: for people. */
export function damaged(
  path: string,
  at: { offset: number; position: number },
  { remedy }: Pick<LogPlace, 'remedy'>,
): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `${path} is damaged at byte ${at.offset}, where position ${at.position} should be`,
    because: 'it was synced before: this is not the torn end of an interrupted write',
    next: remedy,
    details: { path, offset: at.offset, position: at.position },
  });
}

/** Where the frame that ends with `end` ends; `undefined` when no frame does. */
async function boundaryBehind(
  segment: Segment,
  end: number,
  place: LogPlace,
): Promise<WritePosition | undefined> {
  if (end < segment.first) {
    return emptySegment(segment, segment.first - 1);
  }
  const start = { ...segment.boundary(end), previous: undefined };
  const stop = await segment.use((file) =>
    walkFrames(file, segment, start, READ_BYTES_MIN, (frame) => frame.position <= end),
  );
  if (stop.position <= end) throw damaged(segment.shownPath, stop, place);
  if (stop.position !== end + 1) return undefined;
  const { offset } = stop;
  return { end, offset, checksum: stop.previous ?? segment.tag, size: offset };
}
