/** One thing that is measured again and again, oldest first. */
export interface Series {
  readonly name: string;
  readonly minutes: readonly number[];
  readonly values: readonly number[];
  /** What it may grow by over the whole time and still be called flat, beside {@link SHARE_MAX} of its median. */
  readonly slack: number;
}

/** How a series goes on. */
export interface Trend {
  readonly name: string;
  readonly median: number;
  readonly max: number;
  readonly perMinute: number;
  readonly flat: boolean;
}

const SHARE_MAX = 0.1;

/**
 * The slope of a series, as the median of the slopes between any two of its points: a collector that ran just before the last of
 * them, or a file that is about to go, does not change it. What shrinks is flat.
 */
export function trendOf({ name, minutes, values, slack }: Series): Trend {
  const slopes = values.flatMap((value, i) =>
    values.slice(i + 1).map((later, j) => (later - value) / (minutes[i + 1 + j]! - minutes[i]!)),
  );
  const perMinute = median(slopes);
  const grown = perMinute * (minutes.at(-1)! - minutes[0]!);
  const usual = median(values);
  const flat = grown <= Math.max(slack, usual * SHARE_MAX);
  return { name, median: usual, max: Math.max(...values), perMinute, flat };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
