import { type Clock, sleep } from './clock.ts';
import { onAbort } from './on-abort.ts';

/** Waits for `work`, but no longer than until `signal` is aborted: then it rejects with its reason. The work goes on. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const forget = onAbort(signal, () => reject(signal.reason));
    work.then(resolve, reject).finally(forget);
  });
}

/**
 * What `work` comes to, but not after `ms` milliseconds: then it throws `late()`, and when `signal` is aborted before,
 * the reason of that. The signal that `work` is given is aborted as soon as nobody waits for it any more.
 */
export async function inTime<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
  late: () => unknown,
): Promise<T> {
  const limit = new AbortController();
  const callOff = onAbort(signal, () => limit.abort(signal?.reason));
  const expiry = sleep(clock, ms, limit.signal).then(() => {
    throw late();
  });
  try {
    return await Promise.race([work(limit.signal), expiry]);
  } finally {
    callOff();
    limit.abort();
  }
}
