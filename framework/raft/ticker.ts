import type { Clock, Timer } from '../base/index.ts';
import { RAFT_TIMES } from './timing.ts';

/** What counts ticks. */
export interface Ticking {
  /** Called once for each tick that passed. */
  tick(): void;
  /** So many ticks from now it has something to do, if nothing happens to it before; 1 at least. */
  readonly ticksUntilDue: number;
}

/**
 * One timer for all groups of a process. It rings when one of them has something to do, and not at each tick: idle
 * processes sleep. The ticks between are counted when it rings, or when something else happens. What the groups
 * have to do at a tick they do in the same turn, so that it leaves together.
 */
export class Ticker {
  readonly tickMs: number;
  private readonly clock: Clock;
  private readonly members = new Set<Ticking>();
  private timer: Timer | undefined;
  /** When the last tick that was counted passed. */
  private countedMs = 0;
  private ringsAtMs = Infinity;

  constructor(clock: Clock, tickMs: number) {
    this.clock = clock;
    this.tickMs = tickMs;
    this.countedMs = clock.now();
  }

  /** Counts ticks for `member` until the returned function is called. */
  add(member: Ticking): () => void {
    this.count();
    this.members.add(member);
    this.review(member);
    return () => {
      this.members.delete(member);
      if (this.members.size > 0) return;
      this.timer?.cancel();
      this.ringsAtMs = Infinity;
    };
  }

  /** Tells the members of the ticks that have passed. */
  count(): void {
    const passed = Math.floor(
      (this.clock.now() + RAFT_TIMES.earlyMs - this.countedMs) / this.tickMs,
    );
    if (passed <= 0) return;
    // A process that slept for longer than it wanted to has not lived through the rest of it.
    const wanted = Math.round((this.ringsAtMs - this.countedMs) / this.tickMs);
    this.countedMs += passed * this.tickMs;
    for (let lived = Math.min(passed, Math.max(1, wanted)); lived > 0; lived--) {
      for (const member of this.members) member.tick();
    }
  }

  /** Something happened to `member`: it may have something to do sooner than it said, or later. */
  review(member: Ticking): void {
    const dueMs = this.countedMs + member.ticksUntilDue * this.tickMs;
    // With others beside it, one of them may be what it rings for. One that rings soon is left as it is: under load what is
    // due changes with each turn, and to set a timer anew costs more than to look in vain once a tick.
    const alone = this.members.size === 1;
    const isSoon = this.ringsAtMs - this.countedMs <= this.tickMs;
    const mayRingLater = alone && !isSoon && dueMs > this.ringsAtMs;
    if (dueMs < this.ringsAtMs || mayRingLater) this.ringAt(dueMs);
  }

  private ringAt(ringsAtMs: number): void {
    this.timer?.cancel();
    this.ringsAtMs = ringsAtMs;
    this.timer = this.clock.after(Math.max(0, ringsAtMs - this.clock.now()), () => {
      this.count();
      this.ringsAtMs = Infinity;
      for (const member of this.members) this.review(member);
    });
  }
}
