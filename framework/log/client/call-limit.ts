import { type Clock, checkSignal, onAbort, type Timer, VarlogError } from '../../base/index.ts';

/** What every call of the client can be given. */
export interface CallLimits {
  /** Ends the call: it rejects with `signal.reason`. */
  signal?: AbortSignal;
  /** After so many milliseconds the call rejects with `TIMEOUT`. */
  timeoutMs?: number;
}

/** A running call's limits as one signal. */
class CallLimit {
  /** Aborted with the caller's reason, or with a `TIMEOUT` error. */
  readonly signal: AbortSignal;
  private readonly controller = new AbortController();
  private readonly forget: (() => void)[];
  private readonly timer: Timer | undefined;

  /** `outer`: signals that end the call as well. */
  constructor(
    clock: Clock,
    what: string,
    timeoutMs: number,
    outer: readonly (AbortSignal | undefined)[],
  ) {
    this.signal = this.controller.signal;
    this.forget = outer.map((it) => onAbort(it, () => this.controller.abort(it?.reason)));
    if (this.signal.aborted) return;
    if (timeoutMs !== Infinity) {
      this.timer = clock.after(timeoutMs, () => this.controller.abort(timedOut(what, timeoutMs)));
    }
  }

  dispose(): void {
    this.timer?.cancel();
    for (const forget of this.forget) forget();
  }
}

/** Limits of the calls that a running call is made of: they end with it, and none of them ends before. */
export interface StepLimits {
  readonly signal: AbortSignal;
  /** Infinite. */
  readonly timeoutMs: number;
}

/** Runs `work` within the limits that the caller gave: its calls are to be given the limits that it is. */
export async function withinLimits<T>(
  clock: Clock,
  limits: CallLimits & { what: string; timeoutMs: number; lifetime?: AbortSignal },
  work: (limits: StepLimits) => Promise<T>,
): Promise<T> {
  checkSignal(limits.signal);
  const outer = [limits.lifetime, limits.signal];
  const limit = new CallLimit(clock, limits.what, checkTimeout(limits.timeoutMs), outer);
  try {
    limit.signal.throwIfAborted();
    return await work({ signal: limit.signal, timeoutMs: Infinity });
  } finally {
    limit.dispose();
  }
}

/**
 * Runs the steps of one call, which all of them together may take `timeoutMs` where it is given: each step is to be given
 * the limits that `steps` is. Without it each has the time that it has by itself.
 */
export function inSteps<T>(
  clock: Clock,
  { timeoutMs, ...limits }: CallLimits & { what: string; lifetime?: AbortSignal },
  steps: (limits: CallLimits) => Promise<T>,
): Promise<T> {
  const all = { ...limits, timeoutMs: timeoutMs ?? Infinity };
  return withinLimits(clock, all, (own) =>
    steps(timeoutMs === undefined ? { signal: own.signal } : own),
  );
}

function timedOut(what: string, timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `${what} took longer than ${timeoutMs} ms`,
    next: 'check with "varlog status" that the cluster is well, or give a larger timeoutMs',
    details: { timeoutMs },
  });
}

/** Gives back `timeoutMs` if it is a number of milliseconds; throws `INVALID_ARGUMENT` otherwise: nothing was sent then. */
export function checkTimeout(timeoutMs: number): number {
  if (typeof timeoutMs === 'number' && timeoutMs > 0) return timeoutMs;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `timeoutMs is ${timeoutMs}: it must be a number above 0, or Infinity`,
    next: 'give milliseconds',
    outcome: 'notAppended',
  });
}
