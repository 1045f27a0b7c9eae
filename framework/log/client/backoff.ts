import type { Random } from '../../base/index.ts';

/**
 * How long to wait before the next try: doubles from one try to the next up to a limit, and is drawn from the
 * whole range ("full jitter"), so that many clients that lost the same node do not come back as one.
 */
export class Backoff {
  private readonly random: Random;
  private readonly firstMs: number;
  private readonly limitMs: number;
  private tries = 0;

  constructor(random: Random, firstMs: number, limitMs: number) {
    this.random = random;
    this.firstMs = firstMs;
    this.limitMs = limitMs;
  }

  /** Milliseconds to wait now, at least a fifth of what it can be at most. */
  nextMs(): number {
    const most = Math.min(this.limitMs, this.firstMs * 2 ** Math.min(this.tries++, 30));
    return most * (0.2 + 0.8 * this.random.fraction());
  }

  reset(): void {
    this.tries = 0;
  }
}
