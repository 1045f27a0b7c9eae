import { SequenceMap } from '../base/index.ts';

/** A command that is to be applied when the log's time has come to `at`. */
export interface Timer {
  /** 1 for the first that was ever scheduled, then 2, 3, … */
  readonly id: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly command: Uint8Array;
}

/** A timer, and where it is in the heap. */
interface Slot {
  readonly timer: Timer;
  index: number;
}

/** Timers by their time, and those of one time by their id: a binary heap that any of them can be taken out of. */
export class TimerQueue {
  private readonly heap: Slot[] = [];
  private readonly slots = new SequenceMap<Slot>();

  get size(): number {
    return this.heap.length;
  }

  /** The one whose time comes first. */
  get first(): Timer | undefined {
    return this.heap[0]?.timer;
  }

  get(id: number): Timer | undefined {
    return this.slots.get(id)?.timer;
  }

  /** By id. */
  *values(): IterableIterator<Timer> {
    for (const { timer } of this.slots.values()) yield timer;
  }

  /** An id that is there already must not be added. */
  add(timer: Timer): void {
    const slot = { timer, index: this.heap.length };
    this.heap.push(slot);
    this.slots.set(timer.id, slot);
    this.rise(slot);
  }

  delete(id: number): Timer | undefined {
    const slot = this.slots.get(id);
    if (slot === undefined) return undefined;
    this.slots.delete(id);
    const last = this.heap.pop() as Slot;
    if (last !== slot) {
      this.put(last, slot.index);
      this.rise(last);
      this.sink(last);
    }
    return slot.timer;
  }

  private rise(slot: Slot): void {
    while (slot.index > 0) {
      const parent = this.heap[(slot.index - 1) >>> 1] as Slot;
      if (!isBefore(slot.timer, parent.timer)) return;
      this.swap(slot, parent);
    }
  }

  private sink(slot: Slot): void {
    for (;;) {
      const left = this.heap[slot.index * 2 + 1];
      const right = this.heap[slot.index * 2 + 2];
      if (left === undefined) return;
      const first = right !== undefined && isBefore(right.timer, left.timer) ? right : left;
      if (!isBefore(first.timer, slot.timer)) return;
      this.swap(slot, first);
    }
  }

  private swap(one: Slot, other: Slot): void {
    const { index } = one;
    this.put(one, other.index);
    this.put(other, index);
  }

  private put(slot: Slot, index: number): void {
    slot.index = index;
    this.heap[index] = slot;
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.at < other.at || (one.at === other.at && one.id < other.id);
}
