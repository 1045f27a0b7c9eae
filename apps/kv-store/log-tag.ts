import { createHash } from 'node:crypto';
import { VarlogError } from 'varlog/log';

/**
 * A short name of a log, by what `OrderedLog.identity()` says. Travels with revisions, which count in one log only: a
 * store that was made anew counts from the start.
 */
export function logTag(identity: string): string {
  return createHash('sha256').update(identity).digest('hex').slice(0, 16);
}

/** The error for a revision of another log. */
export function ofAnotherLog(asked: string, own: string): VarlogError {
  return new VarlogError('LOG_MISMATCH', {
    what: `the revision is of log ${asked.slice(0, 40)}, and this store is on log ${own}`,
    because: 'the store was made anew, or the address is that of another one',
    next: 'list the keys anew and go on from the revisions there, or correct the address',
    details: { asked, own },
    outcome: 'notAppended',
  });
}

/**
 * Whether an error is that of {@link ofAnotherLog}: the same everywhere. A replica that failed with the same code has the
 * wrong log itself, and another one may answer.
 */
export function isOfAnotherLog(error: unknown): boolean {
  return VarlogError.is(error, 'LOG_MISMATCH') && 'asked' in error.details;
}
