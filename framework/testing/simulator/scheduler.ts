import { assert, type Timer } from '../../base/index.ts';
import type { SeededRandom } from './random.ts';

/** So much may happen while no time passes. More is taken for something that goes round for ever. */
const STANDSTILL_EVENTS_MAX = 200_000;
/** Less than this is no time: what waits for a smaller rest of a float waits again and again. */
const STANDSTILL_MS = 1e-6;

class Event implements Timer {
  readonly timeMs: number;
  readonly tie: number;
  readonly sequence: number;
  run: (() => void) | undefined;

  constructor(timeMs: number, tie: number, sequence: number, run: () => void) {
    this.timeMs = timeMs;
    this.tie = tie;
    this.sequence = sequence;
    this.run = run;
  }

  cancel(): void {
    this.run = undefined;
  }
}

/**
 * What will happen, in the order of virtual time. What happens at the same moment happens in an
 * order drawn from the seed, not in the order in which it was scheduled.
 */
export class Scheduler {
  /** Virtual milliseconds since the beginning. */
  nowMs = 0;
  /** Events that have happened. */
  eventCount = 0;
  private readonly random: SeededRandom;
  private readonly heap: Event[] = [];
  private sequence = 0;
  private movedAtMs = 0;
  private eventsSince = 0;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  /** Runs `run` in `ms` virtual milliseconds; never, if that is Infinity. */
  after(ms: number, run: () => void): Timer {
    assert(!Number.isNaN(ms), 'a time to wait for is a number');
    const timeMs = this.nowMs + Math.max(0, ms);
    const event = new Event(timeMs, this.random.bits(), this.sequence++, run);
    if (timeMs !== Infinity) this.push(event);
    return event;
  }

  /** Time of the next event, Infinity where there is none. */
  nextMs(): number {
    while (this.heap.length > 0 && this.heap[0]!.run === undefined) this.pop();
    return this.heap[0]?.timeMs ?? Infinity;
  }

  /** Moves to the next event and runs it. Throws when ever more happens and time does not pass. */
  step(): void {
    if (this.nextMs() === Infinity) return;
    const event = this.pop();
    this.nowMs = event.timeMs;
    this.eventCount++;
    this.checkStandstill();
    const run = event.run!;
    event.run = undefined;
    run();
  }

  private checkStandstill(): void {
    if (this.nowMs - this.movedAtMs >= STANDSTILL_MS) {
      this.movedAtMs = this.nowMs;
      this.eventsSince = 0;
    }
    if (++this.eventsSince <= STANDSTILL_EVENTS_MAX) return;
    // Not before: with each event, to write the number down would take longer than most of what happens.
    assert(false, `time passes: it stands at ${this.nowMs} ms`);
  }

  private push(event: Event): void {
    const { heap } = this;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  private pop(): Event {
    const { heap } = this;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Event, b: Event): boolean {
  if (a.timeMs !== b.timeMs) return a.timeMs < b.timeMs;
  return a.tie !== b.tie ? a.tie < b.tie : a.sequence < b.sequence;
}
