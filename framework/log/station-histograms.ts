/** Upper bounds of the buckets in milliseconds, the last one not counted: that has none. */
export const STATION_BOUNDS_MS: readonly number[] = [
  ...[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000],
];

/** How often something took how long. */
export interface StationHistogram {
  readonly station: string;
  /** One for each of {@link STATION_BOUNDS_MS}, and one for what took longer: each counts what is in no earlier one. */
  readonly counts: readonly number[];
  readonly sumMs: number;
}

/**
 * How long appends are at the stations of one node. It costs a few comparisons for each commit, write or cut, not for
 * each record, and does not grow.
 */
export class StationHistograms<Station extends string> {
  private readonly stations: Readonly<Record<Station, { counts: number[]; sumMs: number }>>;

  constructor(stations: readonly Station[]) {
    const empty = (): { counts: number[]; sumMs: number } => ({
      counts: new Array<number>(STATION_BOUNDS_MS.length + 1).fill(0),
      sumMs: 0,
    });
    this.stations = Object.fromEntries(stations.map((it) => [it, empty()])) as typeof this.stations;
  }

  observe(station: Station, ms: number): void {
    const histogram = this.stations[station];
    let bucket = 0;
    while (bucket < STATION_BOUNDS_MS.length && ms > STATION_BOUNDS_MS[bucket]!) bucket++;
    histogram.counts[bucket]!++;
    histogram.sumMs += ms;
  }

  /** As they are now. */
  get all(): StationHistogram[] {
    return Object.entries<{ counts: number[]; sumMs: number }>(this.stations).map(
      ([station, { counts, sumMs }]) => ({ station, counts: [...counts], sumMs }),
    );
  }
}
