/** What is kept: everything for so long, by the log's time, unless there is more than so many bytes of it. */
export interface RememberedLimits {
  /** Milliseconds. */
  readonly keptMs: number;
  /** Of keys and values together, as they are counted by who adds them. */
  readonly bytesMax: number;
}

/** For a snapshot: plain data. */
export interface RememberedState<Value> {
  readonly sinceMs: number;
  readonly bytes: number;
  readonly older: readonly [string, Value][];
  readonly newer: readonly [string, Value][];
  readonly olderThrough: number;
  readonly newerThrough: number;
  readonly forgottenThrough: number;
}

/**
 * Values by keys, each for at least `keptMs`, so that whoever asks again in that time is told the same, however much else goes
 * on. Two parts, of which the older one is dropped as a whole: the first key of a map from whose head keys were removed takes
 * long to find. Where one part has half of `bytesMax`, the older ones go earlier, so that memory has a bound.
 */
export class Remembered<Value> {
  private readonly limits: RememberedLimits;
  private sinceMs = 0;
  private bytes = 0;
  private older = new Map<string, Value>();
  private newer = new Map<string, Value>();
  private olderThrough = 0;
  private newerThrough = 0;
  private forgotten = 0;

  constructor(limits: RememberedLimits) {
    this.limits = limits;
  }

  /** Whatever was set at a later position than this is still here. 0: everything. */
  get forgottenThrough(): number {
    return this.forgotten;
  }

  get(key: string): Value | undefined {
    return this.newer.get(key) ?? this.older.get(key);
  }

  /** `position` and `timeMs` are those of the log, and never go back. */
  set(key: string, value: Value, bytes: number, position: number, timeMs: number): void {
    const { keptMs, bytesMax } = this.limits;
    if (timeMs - this.sinceMs >= keptMs || this.bytes + bytes > bytesMax / 2) {
      if (this.older.size > 0) this.forgotten = this.olderThrough;
      this.older = this.newer;
      this.olderThrough = this.newerThrough;
      this.newer = new Map();
      this.sinceMs = timeMs;
      this.bytes = 0;
    }
    this.newer.set(key, value);
    this.newerThrough = position;
    this.bytes += bytes;
  }

  snapshot(): RememberedState<Value> {
    return {
      sinceMs: this.sinceMs,
      bytes: this.bytes,
      older: [...this.older],
      newer: [...this.newer],
      olderThrough: this.olderThrough,
      newerThrough: this.newerThrough,
      forgottenThrough: this.forgotten,
    };
  }

  restore(state: RememberedState<Value>): void {
    this.sinceMs = state.sinceMs;
    this.bytes = state.bytes;
    this.older = new Map(state.older);
    this.newer = new Map(state.newer);
    this.olderThrough = state.olderThrough;
    this.newerThrough = state.newerThrough;
    this.forgotten = state.forgottenThrough;
  }
}
