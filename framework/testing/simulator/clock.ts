import { assert, type Clock, type Timer } from '../../base/index.ts';
import type { ProcessLife } from './process-life.ts';
import type { Scheduler } from './scheduler.ts';

/** 2020-01-01: wall clocks of simulations and tests begin there. In milliseconds. */
export const WALL_START_MS = 1_577_836_800_000;

/** How a machine's clocks are wrong. It outlives the processes. */
export interface ClockError {
  /** Parts per million by which the clock is too fast; from -1000 to 1000. */
  driftPpm: number;
  /** Milliseconds by which the wall clock is ahead. May be changed at any time. */
  wallAheadMs: number;
}

/** The clock of one life of a simulated process. */
export class SimulatedClock implements Clock {
  private readonly scheduler: Scheduler;
  private readonly processLife: ProcessLife;
  private readonly error: ClockError;
  private readonly rate: number;
  private deferred: (() => void)[] = [];

  constructor(scheduler: Scheduler, processLife: ProcessLife, error: ClockError) {
    assert(Math.abs(error.driftPpm) <= 1_000, 'a clock drifts by at most 1000 ppm');
    this.scheduler = scheduler;
    this.processLife = processLife;
    this.error = error;
    this.rate = 1 + error.driftPpm / 1_000_000;
  }

  now(): number {
    return this.scheduler.nowMs * this.rate;
  }

  wall(): number {
    return Math.floor(WALL_START_MS + this.now() + this.error.wallAheadMs);
  }

  after(ms: number, ring: () => void): Timer {
    let cancelled = false;
    // A paused process may cancel a timer whose time has come before it gets to it.
    const timer = this.scheduler.after(ms / this.rate, () =>
      this.processLife.run(() => {
        if (!cancelled) ring();
      }),
    );
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  defer(run: () => void): void {
    if (this.deferred.push(run) > 1) return;
    this.scheduler.after(0, () => this.processLife.run(() => this.runDeferred()));
  }

  private runDeferred(): void {
    const ready = this.deferred;
    this.deferred = [];
    for (const run of ready) run();
  }
}
