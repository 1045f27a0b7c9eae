/** For a snapshot: when the newer part began, and the older and the newer part. */
export type CommittedSnapshot<Value> = [sinceMs: number, [string, Value][], [string, Value][]];

/** What is kept: everything for so long, by the log's time, unless there is more than so much of it. */
export interface Retention {
  keptMs: number;
  countMax: number;
}

/**
 * Values by ids, each for at least `keptMs`, so that whoever asks again in that time is told the same, however much else goes
 * on. Two parts, of which the older one is dropped as a whole: the first key of a map from whose head keys were removed takes
 * long to find. Beyond `countMax` in either part the oldest ones go earlier, so that memory has a bound.
 */
export class Committed<Value> {
  private readonly retention: Retention;
  private sinceMs = 0;
  private older = new Map<string, Value>();
  private newer = new Map<string, Value>();

  constructor(retention: Retention) {
    this.retention = retention;
  }

  get(id: string): Value | undefined {
    return this.newer.get(id) ?? this.older.get(id);
  }

  add(id: string, value: Value, timeMs: number): void {
    const { keptMs, countMax } = this.retention;
    if (timeMs - this.sinceMs >= keptMs || this.newer.size >= countMax) {
      this.older = this.newer;
      this.newer = new Map();
      this.sinceMs = timeMs;
    }
    this.newer.set(id, value);
  }

  snapshot(): CommittedSnapshot<Value> {
    return [this.sinceMs, [...this.older], [...this.newer]];
  }

  restore([sinceMs, older, newer]: CommittedSnapshot<Value>): void {
    this.sinceMs = sinceMs;
    this.older = new Map(older);
    this.newer = new Map(newer);
  }
}
