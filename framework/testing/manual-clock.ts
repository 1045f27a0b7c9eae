import type { Clock, Timer } from '../base/index.ts';
import { realClock } from '../runtime/index.ts';
import { WALL_START_MS } from './simulator/clock.ts';
import { settled } from './simulator/host-turn.ts';

interface ManualTimer {
  readonly atMs: number;
  readonly ring: () => void;
}

/**
 * A clock that a test moves on. Timers ring when it is moved past them, and at no other time.
 *
 * ```ts
 * const clock = new ManualClock();
 * const log = new MemoryLog({ clock });
 * const replica = await startReplica({ machine: new Counter(), log, ports: { clock, random: new SeededRandom(1) } });
 * const late = replica.execute({ add: 1 }, { timeoutMs: 1_000 });
 * await clock.advance(1_000); // what waits for a second is through
 * ```
 *
 * What is deferred to the end of a turn is not about time, and needs no moving.
 */
export class ManualClock implements Clock {
  private nowMs = 0;
  private wallMs: number;
  /** In the order in which they were set. */
  private readonly timers = new Set<ManualTimer>();
  private readonly turns = realClock();

  /** `wall`: what its wall clock begins with, in milliseconds since 1970. Default: the beginning of 2020. */
  constructor({ wall = WALL_START_MS }: { wall?: number } = {}) {
    this.wallMs = wall;
  }

  now(): number {
    return this.nowMs;
  }

  wall(): number {
    return this.wallMs;
  }

  after(ms: number, ring: () => void): Timer {
    const timer = { atMs: this.nowMs + Math.max(0, ms), ring };
    this.timers.add(timer);
    return { cancel: () => void this.timers.delete(timer) };
  }

  defer(run: () => void): void {
    this.turns.defer(run);
  }

  /** How many timers are set. */
  get pending(): number {
    return this.timers.size;
  }

  /** Sets the wall clock, which may go backwards; timers do not depend on it. */
  setWall(ms: number): void {
    this.wallMs = ms;
  }

  /**
   * Lets `ms` milliseconds pass, timer by timer, in the order of their times. Each finds its own time on the clock, and
   * what it leads to is done before the next: also timers that are set meanwhile.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await settled();
    for (let next = this.next(endMs); next !== undefined; next = this.next(endMs)) {
      this.move(next.atMs);
      this.timers.delete(next);
      next.ring();
      await settled();
    }
    this.move(endMs);
    await settled();
  }

  private next(endMs: number): ManualTimer | undefined {
    let first: ManualTimer | undefined;
    for (const it of this.timers) {
      if (it.atMs <= endMs && (first === undefined || it.atMs < first.atMs)) first = it;
    }
    return first;
  }

  private move(toMs: number): void {
    this.wallMs += toMs - this.nowMs;
    this.nowMs = toMs;
  }
}
