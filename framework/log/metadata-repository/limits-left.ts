import type { Clock, LogCallOptions } from '../../base/index.ts';
import { LOG_TIMES } from '../timing.ts';

/** What one step of a call may take. */
export type LimitsLeft = LogCallOptions & { readonly timeoutMs: number };

/**
 * Shares out the time of a call among its steps: gives the limits that the next step has, whenever it is asked. It throws
 * `late()` once nothing is left, so that the last step, which alone changes something, is not begun then.
 */
export function limitsLeft(
  clock: Clock,
  { timeoutMs = LOG_TIMES.callTimeoutMs, ...limits }: LogCallOptions,
  late: () => unknown,
): () => LimitsLeft {
  const until = clock.now() + timeoutMs;
  return () => {
    const leftMs = until - clock.now();
    if (leftMs <= 0) throw late();
    return { ...limits, timeoutMs: leftMs };
  };
}
