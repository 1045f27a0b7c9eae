import { VarlogError } from './errors.ts';

/**
 * States an invariant. A broken one is a bug, not a condition to handle: the error is meant to end
 * the process before it can do harm, so nothing below a process root may catch it.
 */
export function assert(condition: unknown, what: string): asserts condition {
  if (condition) return;
  throw new VarlogError('INVARIANT', { what: `broken invariant: ${what}` });
}
