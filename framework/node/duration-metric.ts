import { Histogram } from 'prom-client';
import type { DurationCounts } from '../base/index.ts';

/** Name of the metric, what it is, and the label by which its histograms differ. */
interface Described {
  readonly name: string;
  readonly help: string;
  readonly label: string;
}

/** Histograms that are counted elsewhere, by the value of their label, as one of Prometheus, in seconds. */
export class DurationMetric extends Histogram<string> {
  private readonly described: Described;
  private readonly current: () => readonly (readonly [value: string, counts: DurationCounts])[];

  constructor(described: Described, current: DurationMetric['current']) {
    const { name, help, label } = described;
    super({ name, help, labelNames: [label], registers: [] });
    this.described = described;
    this.current = current;
  }

  /** What the registry asks for: what was counted there, in place of what was observed here. */
  async getForPromString(): Promise<unknown> {
    const { name, help } = this.described;
    const values = this.current().flatMap(([value, counts]) => this.valuesOf(value, counts));
    return { name, help, type: 'histogram', aggregator: 'sum', values };
  }

  private valuesOf(value: string, { boundsMs, counts, sumMs }: DurationCounts): unknown[] {
    const { name, label } = this.described;
    const labels = { [label]: value };
    let total = 0;
    const buckets = counts.map((count, i) => {
      total += count;
      const bound = boundsMs[i];
      const le = bound === undefined ? '+Inf' : String(bound / 1_000);
      return { labels: { ...labels, le }, value: total, metricName: `${name}_bucket` };
    });
    return [
      ...buckets,
      { labels, value: sumMs / 1_000, metricName: `${name}_sum` },
      { labels, value: total, metricName: `${name}_count` },
    ];
  }
}
