import { VarlogError } from 'varlog/log';
import type { z } from 'zod';

/**
 * What came from outside, as `schema` has it. Throws `INVALID_ARGUMENT` that names the field which is wrong: `where`, with
 * the path to it. `next`: what to do about it.
 */
export function taken<T>(schema: z.ZodType<T>, given: unknown, where: string, next: string): T {
  const { success, data, error } = schema.safeParse(given);
  if (success) return data;
  const { path, message } = error.issues[0]!;
  throw invalid(`${[where, ...path].join('.')}: ${message}`, next);
}

/** What to throw at a request that makes no sense. */
export function invalid(what: string, next: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, next, outcome: 'notAppended' });
}
