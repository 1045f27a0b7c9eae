import { assert } from '../base/index.ts';
import { type Frame, frameEnd } from './frame.ts';

/** Where in the journal a frame lies. */
export interface Place {
  readonly position: number;
  readonly count: number;
  /** The record that holds it. */
  readonly record: number;
  /** How many bytes the journal had taken before. */
  readonly offset: number;
  readonly bytes: number;
}

/** Where the frames of one log lie, in the order of their positions. */
export class Places {
  private items: Place[] = [];
  /** Bytes of the payloads. */
  bytes = 0;

  get oldest(): Place | undefined {
    return this.items[0];
  }

  get length(): number {
    return this.items.length;
  }

  push(place: Place): void {
    this.items.push(place);
    this.bytes += place.bytes;
  }

  /** Forgets what reaches beyond `end`. */
  cut(end: number): void {
    while (this.items.length > 0 && endOf(this.items.at(-1)!) > end) {
      this.bytes -= this.items.pop()!.bytes;
    }
  }

  /** Forgets what lies wholly below `first`. */
  trim(first: number): void {
    let gone = 0;
    while (gone < this.items.length && endOf(this.items[gone]!) < first) {
      this.bytes -= this.items[gone]!.bytes;
      gone++;
    }
    if (gone > 0) this.items.splice(0, gone);
  }

  /** The frames up to the last of `moved` lie there now. */
  move(moved: readonly Place[], first: number): void {
    const last = moved.at(-1);
    if (last === undefined) return;
    const kept = this.items.filter((it) => it.position > last.position);
    this.items = [];
    this.bytes = 0;
    for (const place of [...moved, ...kept]) if (endOf(place) >= first) this.push(place);
  }

  /** From the one that holds `position` on. */
  *from(position: number): Generator<Place, void, undefined> {
    for (let i = this.indexOf(position); i < this.items.length; i++) yield this.items[i]!;
  }

  /** Whether it has every position of `first` … `end`. */
  covers(first: number, end: number): boolean {
    const { items } = this;
    if (items.length === 0) return end === first - 1;
    const dense = items.every((it, i) => i === 0 || endOf(items[i - 1]!) + 1 === it.position);
    return dense && items[0]!.position <= first && endOf(items.at(-1)!) === end;
  }

  /** Whether a log may end here: between two frames. */
  isBoundary(end: number): boolean {
    const { items } = this;
    if (items.length === 0 || end < items[0]!.position) return true;
    return endOf(items[this.indexOf(end)]!) === end;
  }

  private indexOf(position: number): number {
    let low = 0;
    let high = this.items.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.items[middle]!.position <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

export function placeOf(frame: Frame, record: number, offset: number): Place {
  assert(frame.count > 0, 'a frame covers a position');
  const { position, count, payload } = frame;
  return { position, count, record, offset, bytes: payload.length };
}

function endOf(place: Place): number {
  return frameEnd(place as unknown as Frame);
}
