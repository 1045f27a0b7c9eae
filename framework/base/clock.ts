import { onAbort } from './on-abort.ts';

/** A timer that was set. Cancelling it twice, or after it rang, does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * Time, as far as this package may know it. The real clock lives in `runtime`, the simulated one in
 * `testing`.
 */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start, with fractions. For measuring, never for storing. */
  now(): number;
  /** Milliseconds since 1970. May jump either way: advisory only, no safety rests on it. */
  wall(): number;
  /** Calls `ring` once, `ms` milliseconds from now. */
  after(ms: number, ring: () => void): Timer;
  /**
   * Calls `run` when the work that is ready now has been done: after this turn's incoming messages.
   * This is how work of one turn is gathered into one batch without waiting for time to pass.
   */
  defer(run: () => void): void;
}

/**
 * Milliseconds until about `everyMs` from now, at a multiple of it by this clock: what looks at something now and then
 * does it at the same time as others do, and an idle process wakes up once for all of them.
 */
export function untilNextLook(clock: Clock, everyMs: number): number {
  const left = everyMs - (clock.now() % everyMs);
  // A timer may ring a little early.
  return left < everyMs / 2 ? left + everyMs : left;
}

/** Resolves `ms` milliseconds from now; rejects with `signal.reason` once that is aborted. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = clock.after(ms, () => {
      forget();
      resolve();
    });
    const forget = onAbort(signal, () => {
      timer.cancel();
      reject(signal?.reason);
    });
  });
}
