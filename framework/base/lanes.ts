/**
 * Runs tasks side by side, so many at once at most. Those of one lane run one after the other, in the order of the calls,
 * each only when the one before has settled; a task of no lane (`undefined`) waits for none of them. A task that fails holds
 * up nobody. It does not bound what waits: whoever fills it does.
 */
export class Lanes<Lane> {
  private free: number;
  private readonly onFailure: (error: unknown) => void;
  /** What settles when the last task of a lane has, or one that is in none. */
  private readonly ends = new Map<Lane | symbol, Promise<void>>();
  /** Tasks whose lane is free, and that wait for others to end. */
  private readonly waiting: (() => void)[] = [];

  /** `onFailure` hears of every task that fails, before the next one of its lane begins; it must not throw. */
  constructor(atOnce: number, onFailure: (error: unknown) => void = () => {}) {
    this.free = atOnce;
    this.onFailure = onFailure;
  }

  /** Settles as `task` does. It begins in a later microtask, even when nothing is before it. */
  run<T>(lane: Lane | undefined, task: () => T | Promise<T>): Promise<T> {
    const key = lane ?? Symbol();
    const before = this.ends.get(key) ?? Promise.resolve();
    const done = before.then(() => this.inTurn(task));
    const end = done
      .then(() => {}, this.onFailure)
      .then(() => {
        if (this.ends.get(key) === end) this.ends.delete(key);
      });
    this.ends.set(key, end);
    return done;
  }

  /** Like {@link run}, for a task whose outcome interests nobody but `onFailure`. */
  post(lane: Lane | undefined, task: () => unknown): void {
    this.run(lane, task).catch(() => {});
  }

  /** Resolves when all that was asked for before this call has settled, in `lane` or in all of them. Never rejects. */
  async settled(lane?: Lane): Promise<void> {
    await (lane === undefined ? Promise.all(this.ends.values()) : this.ends.get(lane));
  }

  private async inTurn<T>(task: () => T | Promise<T>): Promise<T> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.waiting.shift();
      // The place is handed on: whoever comes in between does not get it.
      if (next === undefined) this.free++;
      else next();
    }
  }
}
