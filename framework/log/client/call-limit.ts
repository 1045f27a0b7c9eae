import {
  type Clock,
  checkNames,
  checkSignal,
  firstAbort,
  LIMIT_NAMES,
  type Timer,
  VarlogError,
} from '../../base/index.ts';

/** What every call of the client can be given. */
export interface CallLimits {
  /** Ends the call: it rejects with `signal.reason`. */
  signal?: AbortSignal;
  /** After so many milliseconds the call rejects with `TIMEOUT`. */
  timeoutMs?: number;
}

/** Throws `INVALID_ARGUMENT` for an option that a call does not have which takes these limits alone. */
export function checkCall(limits: CallLimits, call: string): void {
  checkNames(limits, LIMIT_NAMES, call);
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
  const { what, signal, lifetime } = limits;
  checkSignal(signal);
  const timeoutMs = checkTimeout(limits.timeoutMs);
  const expiry = new AbortController();
  const ending = firstAbort(lifetime, signal, expiry.signal);
  let timer: Timer | undefined;
  try {
    ending.signal.throwIfAborted();
    if (timeoutMs !== Infinity)
      timer = clock.after(timeoutMs, () => expiry.abort(timedOut(what, timeoutMs)));
    return await work({ signal: ending.signal, timeoutMs: Infinity });
  } finally {
    timer?.cancel();
    ending.release();
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
