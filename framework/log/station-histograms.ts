import { type DurationCounts, DurationHistogram } from '../base/index.ts';

/** Upper bounds of the buckets in milliseconds, the last one not counted: that has none. */
const STATION_BOUNDS_MS: readonly number[] = [
  ...[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000],
];

/** How often appends were how long at a station. */
export interface StationHistogram extends DurationCounts {
  readonly station: string;
}

/**
 * How long appends are at the stations of one node. It costs a few comparisons for each commit, write or cut, not for
 * each record, and does not grow.
 */
export class StationHistograms<Station extends string> {
  private readonly stations: Readonly<Record<Station, DurationHistogram>>;

  constructor(stations: readonly Station[]) {
    const empty = stations.map((it) => [it, new DurationHistogram(STATION_BOUNDS_MS)] as const);
    this.stations = Object.fromEntries(empty) as typeof this.stations;
  }

  observe(station: Station, ms: number): void {
    this.stations[station].observe(ms);
  }

  /** As they are now. */
  get all(): StationHistogram[] {
    return Object.entries<DurationHistogram>(this.stations).map(([station, { counts }]) => ({
      station,
      ...counts,
    }));
  }
}
