import { Backoff, type Ports, VarlogError } from '../base/index.ts';

/** For each attempt of an append that may be repeated. */
export const ATTEMPT_TIMEOUT_MS = 5_000;
const BACKOFF_MS = { first: 10, most: 1_000 };

/** Between attempts. */
export function appendBackoff({ random }: Pick<Ports, 'random'>): Backoff {
  return new Backoff(random, BACKOFF_MS.first, BACKOFF_MS.most);
}

/** Whether an append that failed may have another fate, where it does no harm that it lies in the log twice. */
export function mayRetry(error: unknown): boolean {
  if (!VarlogError.is(error)) return false;
  if (error.code === 'CLOSED' || error.code === 'INVARIANT') return false;
  return error.retryable || error.outcome === 'unknown';
}

/**
 * Appends what may lie in the log twice, or reads, as often as it takes. Resolves with what it came to when that is known; rejects with an
 * error that will not change, or `signal.reason`.
 */
export async function untilTaken<T>(
  attempt: () => Promise<T>,
  ports: Pick<Ports, 'clock' | 'random'>,
  signal: AbortSignal,
): Promise<T> {
  const backoff = appendBackoff(ports);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!mayRetry(error)) throw error;
    }
    await backoff.pause(ports.clock, signal);
    signal.throwIfAborted();
  }
}
