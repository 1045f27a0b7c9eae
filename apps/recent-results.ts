/** What a {@link RecentResults} is made of, for a snapshot: the older half and the newer one. */
export type RecentResultsSnapshot<Result> = [[string, Result][], [string, Result][]];

/**
 * The results of the newest requests by their ids, at least `count` of them, so that a request that comes again gets
 * what it got before. Two halves, of which the older one is dropped as a whole: the first key of a map from
 * whose head keys were removed takes long to find.
 */
export class RecentResults<Result> {
  private readonly count: number;
  private older = new Map<string, Result>();
  private newer = new Map<string, Result>();

  constructor(count: number) {
    this.count = count;
  }

  get(id: string): Result | undefined {
    return this.newer.get(id) ?? this.older.get(id);
  }

  add(id: string, result: Result): void {
    this.newer.set(id, result);
    if (this.newer.size < this.count) return;
    this.older = this.newer;
    this.newer = new Map();
  }

  snapshot(): RecentResultsSnapshot<Result> {
    return [[...this.older], [...this.newer]];
  }

  restore([older, newer]: RecentResultsSnapshot<Result>): void {
    this.older = new Map(older);
    this.newer = new Map(newer);
  }
}
