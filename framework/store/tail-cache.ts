import { type Frame, frameEnd } from './frame.ts';

/**
 * What a frame costs beside its payload. Its objects are of some 200 bytes; the garbage collector, which goes through all of
 * them now and then and holds up the process meanwhile, weighs more: so small ones count for more.
 */
const FRAME_OBJECT_BYTES = 1_024;

/** What goes with a frame beside which `neighbour` stays: frames that came together may lie in one buffer. */
function memoryOf({ payload }: Frame, neighbour: Frame | undefined): number {
  const { buffer } = payload;
  return FRAME_OBJECT_BYTES + (buffer === neighbour?.payload.buffer ? 0 : buffer.byteLength);
}

/**
 * Memory that the caches of several logs share. Over it, those give way first to which nothing was
 * added for the longest time.
 */
export class CacheBudget {
  /** Bytes that all caches hold together. */
  bytes = 0;
  private readonly bytesMax: number;
  /** The one to which something was added last comes last. */
  private readonly caches = new Set<TailCache>();

  /** `bytesMax`: what cannot be let go of, because it is not written yet, may exceed it. */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** What `cache` holds has changed by `bytes`. */
  note(cache: TailCache, bytes: number): void {
    this.bytes += bytes;
    if (bytes <= 0) return;
    this.caches.delete(cache);
    this.caches.add(cache);
  }

  /** The log of `cache` is closed. */
  leave(cache: TailCache): void {
    this.caches.delete(cache);
  }

  /** Has caches let go of their oldest frames, as long as there is too much. */
  relieve(): void {
    for (const cache of this.caches) {
      if (this.bytes <= this.bytesMax) return;
      cache.giveWay(() => this.bytes > this.bytesMax);
    }
  }
}

/** The newest frames of a log, in memory, contiguous up to the log's end. */
export class TailCache {
  private readonly bytesMax: number;
  private readonly budget: CacheBudget | undefined;
  /** None that reaches beyond this may be let go of. */
  private evictable = 0;
  private frames: (Frame | undefined)[] = [];
  /** Frames before this index were evicted; the array is compacted now and then. */
  private head = 0;
  private bytes = 0;

  constructor(bytesMax: number, budget?: CacheBudget) {
    this.bytesMax = bytesMax;
    this.budget = budget;
  }

  /** The first position it holds; `Infinity` when it holds nothing. */
  get first(): number {
    return this.frames[this.head]?.position ?? Infinity;
  }

  push(frame: Frame): void {
    const last = this.frames.at(-1);
    this.frames.push(frame);
    this.add(memoryOf(frame, last));
  }

  /** Lets go of the oldest frames over the limit, but of none that reaches beyond `evictable`. */
  evict(evictable: number): void {
    this.evictable = evictable;
    this.giveWay(() => this.bytes > this.bytesMax);
    this.budget?.relieve();
  }

  /** Lets go of the oldest frames, as long as `isTooMuch` and it may. */
  giveWay(isTooMuch: () => boolean): void {
    while (isTooMuch() && this.head < this.frames.length) {
      const frame = this.frames[this.head]!;
      if (frameEnd(frame) > this.evictable) break;
      this.drop(frame);
    }
    if (this.head > 64 && this.head * 2 > this.frames.length) {
      this.frames = this.frames.slice(this.head);
      this.head = 0;
    }
  }

  /** Lets go of everything that reaches beyond `end`. */
  cut(end: number): void {
    this.evictable = Math.min(this.evictable, end);
    while (this.frames.length > this.head && frameEnd(this.frames.at(-1)!) > end) {
      const newest = this.frames.pop()!;
      this.add(-memoryOf(newest, this.frames.at(-1)));
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
    this.add(-this.bytes);
  }

  /** Lets go of everything, for good. */
  close(): void {
    this.clear();
    this.budget?.leave(this);
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
    this.frames[this.head++] = undefined;
    this.add(-memoryOf(oldest, this.frames[this.head]));
  }

  private add(bytes: number): void {
    this.bytes += bytes;
    this.budget?.note(this, bytes);
  }
}
