import { type Clock, SequenceMap, type Timer } from '../base/index.ts';

interface Call {
  readonly at: number;
  readonly expire: (timeoutMs: number) => void;
}

/**
 * The time limits of calls. Calls that name none share one, and so one timer: theirs run out in the order in which they
 * came.
 */
export class Deadlines {
  private readonly clock: Clock;
  private readonly defaultMs: number;
  private readonly calls = new SequenceMap<Call>();
  private timer: Timer | undefined;

  constructor(clock: Clock, defaultMs: number) {
    this.clock = clock;
    this.defaultMs = defaultMs;
  }

  /**
   * Calls `expire` after `timeoutMs`: where that is undefined after the default, where it is infinite never. Gives back
   * what calls it off.
   */
  limit(timeoutMs: number | undefined, expire: (timeoutMs: number) => void): () => void {
    const ms = timeoutMs ?? this.defaultMs;
    if (ms === Number.POSITIVE_INFINITY) return () => {};
    if (timeoutMs !== undefined) {
      const timer = this.clock.after(ms, () => expire(ms));
      return () => timer.cancel();
    }
    const key = this.calls.add({ at: this.clock.now() + ms, expire });
    this.timer ??= this.clock.after(ms, () => this.ring());
    return () => {
      this.calls.delete(key);
    };
  }

  /** For the end, when no call waits any more. */
  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private ring(): void {
    this.timer = undefined;
    for (let key = this.calls.firstKey; key !== undefined; key = this.calls.firstKey) {
      const { at, expire } = this.calls.get(key) as Call;
      const leftMs = at - this.clock.now();
      if (leftMs > 0) {
        this.timer = this.clock.after(leftMs, () => this.ring());
        return;
      }
      this.calls.delete(key);
      expire(this.defaultMs);
    }
  }
}
