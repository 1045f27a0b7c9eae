/** How often something took how long. */
export interface DurationCounts {
  /** Upper bounds of the buckets in milliseconds, ascending; behind the last one follows a bucket without any. */
  readonly boundsMs: readonly number[];
  /** One for each bound, and one for what took longer: each counts what is in no earlier one. */
  readonly counts: readonly number[];
  readonly sumMs: number;
}

/** Counts how long something took. It costs a few comparisons for each time, and does not grow. */
export class DurationHistogram {
  private readonly boundsMs: readonly number[];
  private readonly buckets: number[];
  private sumMs = 0;

  constructor(boundsMs: readonly number[]) {
    this.boundsMs = boundsMs;
    this.buckets = new Array<number>(boundsMs.length + 1).fill(0);
  }

  observe(ms: number): void {
    const { boundsMs, buckets } = this;
    let bucket = 0;
    while (bucket < boundsMs.length && ms > boundsMs[bucket]!) bucket++;
    buckets[bucket]!++;
    this.sumMs += ms;
  }

  /** How many were observed. */
  get total(): number {
    return this.buckets.reduce((sum, it) => sum + it, 0);
  }

  /** As it is now. */
  get counts(): DurationCounts {
    const { boundsMs, buckets, sumMs } = this;
    return { boundsMs, counts: [...buckets], sumMs };
  }
}
