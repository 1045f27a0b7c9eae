import { build } from 'hdr-histogram-js';

/** Throughput and latency of one piece of work. */
export interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Latencies of many calls, in milliseconds. */
export class Latencies {
  private readonly histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
  });

  add(ms: number): void {
    this.histogram.recordValue(Math.max(1, Math.round(ms * 1000)));
  }

  get p50Ms(): number {
    return this.histogram.getValueAtPercentile(50) / 1000;
  }

  get p99Ms(): number {
    return this.histogram.getValueAtPercentile(99) / 1000;
  }
}

/**
 * Runs `once` in `workers` loops for `seconds`, after a warm-up of a quarter of that. `units`: how much one
 * call does.
 */
export async function measure(
  once: () => Promise<unknown>,
  { workers = 1, seconds = 4, units = 1 }: { workers?: number; seconds?: number; units?: number },
): Promise<Measured> {
  const latencies = new Latencies();
  const begin = performance.now() + seconds * 250;
  const end = begin + seconds * 1000;
  let calls = 0;
  const loop = async (): Promise<void> => {
    for (let now = performance.now(); now < end; ) {
      await once();
      const done = performance.now();
      if (now >= begin) {
        calls++;
        latencies.add(done - now);
      }
      now = done;
    }
  };
  await Promise.all(Array.from({ length: workers }, loop));
  const { p50Ms, p99Ms } = latencies;
  return { perSecond: (calls * units) / seconds, p50Ms, p99Ms };
}

/** The one in the middle, by throughput. */
export function median(rounds: readonly Measured[]): Measured {
  const sorted = [...rounds].sort((a, b) => a.perSecond - b.perSecond);
  return sorted[Math.floor(sorted.length / 2)]!;
}

export interface Row {
  readonly work: string;
  readonly rate: string;
  readonly p50?: number;
  readonly p99?: number;
}

export function row(work: string, it: Measured, unit = '/s', scale = 1): Row {
  const rate = it.perSecond / scale;
  const shown = rate >= 100 ? Math.round(rate).toLocaleString('en-US') : rate.toFixed(1);
  return { work, rate: `${shown} ${unit}`, p50: it.p50Ms, p99: it.p99Ms };
}

/** The rows as a Markdown table. */
export function table(rows: readonly Row[]): string {
  const ms = (value: number | undefined): string =>
    value === undefined ? '' : `${value.toFixed(2)} ms`;
  return [
    '| work | throughput | p50 | p99 |',
    '|---|---|---|---|',
    ...rows.map((it) => `| ${it.work} | ${it.rate} | ${ms(it.p50)} | ${ms(it.p99)} |`),
  ].join('\n');
}
