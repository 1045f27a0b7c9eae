import { type Clock, sleep } from './clock.ts';
import type { Random } from './random.ts';

/** A wait is never shorter than this part of what it can be at most: nobody turns in a circle. */
const LEAST = 0.2;
/** Doubled so often, every first wait is beyond its limit, and no number is beyond counting. */
const DOUBLINGS_MAX = 30;

/**
 * How long to wait before the next try. What a wait can be at most doubles from one to the next, from `firstMs` up to
 * `limitMs`; the wait is drawn from the fifth of that upwards, so that many that lost the same peer at the same
 * moment do not come back as one.
 */
export class Backoff {
  private readonly random: Random;
  private readonly firstMs: number;
  private readonly limitMs: number;
  private tries = 0;

  /** `firstMs`, `limitMs`: milliseconds, both above 0. */
  constructor(random: Random, firstMs: number, limitMs: number) {
    this.random = random;
    this.firstMs = firstMs;
    this.limitMs = limitMs;
  }

  /** Milliseconds to wait now. */
  nextMs(): number {
    const most = Math.min(this.limitMs, this.firstMs * 2 ** Math.min(this.tries++, DOUBLINGS_MAX));
    return most * (LEAST + (1 - LEAST) * this.random.fraction());
  }

  /** Waits for as long as is due now; ends early, without an error, once `signal` is aborted. */
  async pause(clock: Clock, signal?: AbortSignal): Promise<void> {
    await sleep(clock, this.nextMs(), signal).catch(() => {});
  }

  /** Something went well: the next wait is a first one again. */
  reset(): void {
    this.tries = 0;
  }
}
