import { VarlogError } from '../../base/index.ts';
import type { CommandPlace } from '../log-context.ts';
import { namesOf } from '../skip-command.ts';

/** A command that all attempts failed to apply. */
export function applyFailed(
  { position, timer }: Pick<CommandPlace, 'position' | 'timer'>,
  attempts: number,
  cause: unknown,
): VarlogError {
  const { what, skip } = namesOf(position, timer);
  return new VarlogError('APPLY_FAILED', {
    what: `${what} could not be applied in ${attempts} attempt${attempts === 1 ? '' : 's'}`,
    because: 'the database failed, or the machine threw: a refused command must be a result',
    next: `see the cause, correct it and start the replica again: it resumes with this command; or have all replicas pass over it with ${skip}`,
    details: { position, timer, attempts },
    cause,
  });
}

/** What this database needs is not in the log any more. */
export function headIsGone(position: number, snapshotPosition: number): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `the log begins behind position ${snapshotPosition}, and this database is at ${position}`,
    because: 'the log was compacted further than this replica had come',
    next: "start it with a copy of another replica's database",
    details: { firstAvailable: snapshotPosition + 1, position },
  });
}
