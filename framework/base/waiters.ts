import { SequenceMap } from './sequence-map.ts';
import { Waiter } from './waiter.ts';

export interface WaitOptions {
  /** Gives up: the promise rejects with its reason. */
  signal?: AbortSignal | undefined;
  /** Sets a time limit: `expire` ends the wait with an error. Gives back what calls the limit off. */
  limit?: ((expire: (error: unknown) => void) => () => void) | undefined;
}

interface Entry<Want> {
  readonly waiter: Waiter;
  readonly want: Want;
}

/**
 * Callers that wait, each for a `Want` of its own, in the order in which they came. Every promise settles: it is
 * resolved or rejected by what its caller wants, aborted, out of time, or ended with all the others by {@link stop}.
 * One that is settled is gone from here, with its time limit and its hold on the signal.
 */
export class Waiters<Want> {
  private readonly waiting = new SequenceMap<Entry<Want>>();
  private stopped: { readonly error: unknown } | undefined;

  get size(): number {
    return this.waiting.size;
  }

  /** What is waited for, the oldest first. */
  *wants(): IterableIterator<Want> {
    for (const { want } of this.waiting.values()) yield want;
  }

  /** Waits until `want` holds, by the word of {@link resolve}. */
  wait(want: Want, { signal, limit }: WaitOptions = {}): Promise<void> {
    if (this.stopped !== undefined) return Promise.reject(this.stopped.error);
    if (signal?.aborted) return Promise.reject(signal.reason);
    let callOff: (() => void) | undefined;
    const waiter = new Waiter(signal, () => {
      this.waiting.delete(key);
      callOff?.();
    });
    const key = this.waiting.add({ waiter, want });
    callOff = limit?.((error) => waiter.reject(error));
    return waiter.promise;
  }

  /** Resolves those for whom `holds` is true, and rejects those for whom it throws with what it threw. */
  resolve(holds: (want: Want) => boolean): void {
    for (const { waiter, want } of this.waiting.values()) {
      try {
        if (holds(want)) waiter.resolve();
      } catch (error) {
        waiter.reject(error);
      }
    }
  }

  /** Rejects those for whom `isLost` is true, with what `why` says of each. */
  reject(isLost: (want: Want) => boolean, why: (want: Want) => unknown): void {
    for (const { waiter, want } of this.waiting.values())
      if (isLost(want)) waiter.reject(why(want));
  }

  /** Rejects all, and from now on whoever comes. */
  stop(error: unknown): void {
    this.stopped = { error };
    for (const { waiter } of this.waiting.values()) waiter.reject(error);
  }
}
