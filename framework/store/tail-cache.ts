import { type Frame, frameEnd } from './frame.ts';

/** What a frame costs in memory beside its payload. */
const FRAME_OBJECT_BYTES = 256;

function memoryOf(frame: Frame): number {
  return FRAME_OBJECT_BYTES + frame.payload.length;
}

/** The newest frames of a log, in memory, contiguous up to the log's end. */
export class TailCache {
  private readonly bytesMax: number;
  private frames: (Frame | undefined)[] = [];
  /** Frames before this index were evicted; the array is compacted now and then. */
  private head = 0;
  private bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** The first position it holds; `Infinity` when it holds nothing. */
  get first(): number {
    return this.frames[this.head]?.position ?? Infinity;
  }

  push(frame: Frame): void {
    this.frames.push(frame);
    this.bytes += memoryOf(frame);
  }

  /** Lets go of the oldest frames over the limit, but of none that reaches beyond `evictable`. */
  evict(evictable: number): void {
    while (this.bytes > this.bytesMax && this.head < this.frames.length) {
      const frame = this.frames[this.head]!;
      if (frameEnd(frame) > evictable) break;
      this.drop(frame);
    }
    if (this.head > 64 && this.head * 2 > this.frames.length) {
      this.frames = this.frames.slice(this.head);
      this.head = 0;
    }
  }

  /** Lets go of everything that reaches beyond `end`. */
  cut(end: number): void {
    while (this.frames.length > this.head && frameEnd(this.frames.at(-1)!) > end) {
      this.bytes -= memoryOf(this.frames.pop()!);
    }
    if (this.frames.length === this.head) this.clear();
  }

  /** Lets go of everything that lies wholly below `first`. */
  trim(first: number): void {
    while (this.head < this.frames.length && frameEnd(this.frames[this.head]!) < first) {
      this.drop(this.frames[this.head]!);
    }
    if (this.frames.length === this.head) this.clear();
  }

  clear(): void {
    this.frames = [];
    this.head = 0;
    this.bytes = 0;
  }

  /** Frames from the one that contains `from` up to position `through`, one at least; `undefined` when `from` is older than the cache. */
  read(from: number, through: number, bytesMax: number): Frame[] | undefined {
    if (from < this.first) return undefined;
    const { frames } = this;
    let low = this.head;
    let high = frames.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (frames[middle]!.position <= from) low = middle;
      else high = middle - 1;
    }
    const found: Frame[] = [];
    let bytes = 0;
    for (let i = low; i < frames.length; i++) {
      const frame = frames[i]!;
      if (frameEnd(frame) < from) continue;
      if (frameEnd(frame) > through) break;
      bytes += frame.payload.length;
      if (found.length > 0 && bytes > bytesMax) break;
      found.push(frame);
    }
    return found;
  }

  private drop(oldest: Frame): void {
    this.bytes -= memoryOf(oldest);
    this.frames[this.head++] = undefined;
  }
}
