import { Histogram } from 'prom-client';
import { STATION_BOUNDS_MS, type StationHistogram } from '../log/storage-node/index.ts';

const NAME = 'varlog_append_station_seconds';
const HELP =
  'Time of appends at the stations of this node, by the oldest of each commit, or by cut';

/** Histograms that are counted elsewhere, as one of Prometheus. */
export class StationMetric extends Histogram<'station'> {
  private readonly current: () => readonly StationHistogram[];

  constructor(current: () => readonly StationHistogram[]) {
    super({ name: NAME, help: HELP, labelNames: ['station'], registers: [] });
    this.current = current;
  }

  /** What the registry asks for: what was counted there, in place of what was observed here. */
  async getForPromString(): Promise<unknown> {
    const values = this.current().flatMap((it) => valuesOf(it));
    return { name: NAME, help: HELP, type: 'histogram', aggregator: 'sum', values };
  }
}

function valuesOf({ station, counts, sumMs }: StationHistogram): unknown[] {
  let total = 0;
  const buckets = counts.map((count, i) => {
    total += count;
    const bound = STATION_BOUNDS_MS[i];
    const le = bound === undefined ? '+Inf' : String(bound / 1_000);
    return { labels: { station, le }, value: total, metricName: `${NAME}_bucket` };
  });
  return [
    ...buckets,
    { labels: { station }, value: sumMs / 1_000, metricName: `${NAME}_sum` },
    { labels: { station }, value: total, metricName: `${NAME}_count` },
  ];
}
