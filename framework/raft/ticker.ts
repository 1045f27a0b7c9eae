import type { Clock, Timer } from '../base/index.ts';

/**
 * One timer for all groups of a process. What they have to do at a tick they do in the same turn, so
 * that it leaves together.
 */
export class Ticker {
  readonly tickMs: number;
  private readonly clock: Clock;
  private readonly ringing = new Set<() => void>();
  private timer: Timer | undefined;

  constructor(clock: Clock, tickMs: number) {
    this.clock = clock;
    this.tickMs = tickMs;
  }

  /** Calls `onTick` every `tickMs`, until the returned function is called. */
  add(onTick: () => void): () => void {
    this.ringing.add(onTick);
    this.arm();
    return () => {
      this.ringing.delete(onTick);
      if (this.ringing.size > 0) return;
      this.timer?.cancel();
      this.timer = undefined;
    };
  }

  private arm(): void {
    this.timer ??= this.clock.after(this.tickMs, () => {
      this.timer = undefined;
      for (const ring of this.ringing) ring();
      if (this.ringing.size > 0) this.arm();
    });
  }
}
