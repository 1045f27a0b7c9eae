import { type ErrorCode, VarlogError } from '../base/index.ts';
import { NodeFailed } from './failure-watch.ts';

/**
 * What the `varlog` command ends with, for scripts: 0 done, 1 failed, 2 called wrongly, 3 no cluster
 * answered, 4 no such thing, 5 a condition did not hold, 6 stored bytes are
 * damaged, 7 they are of a later version, 70 a mistake in this program ended the server, 74 all roles of this server failed and it must be started
 * again, 124 took too long.
 */
export function exitCodeOf(error: unknown): number {
  if (error instanceof NodeFailed) return 74;
  if (!VarlogError.is(error)) return 1;
  return EXIT_CODES[error.code] ?? 1;
}

/** Of a server that was ended by a mistake in this program. */
export const MISTAKE = 70;

const EXIT_CODES: Partial<Record<ErrorCode, number>> = {
  CONFIG_INVALID: 2,
  EMPTY_BATCH: 2,
  ENTRY_TOO_LARGE: 2,
  INVALID_ARGUMENT: 2,
  POSITION_OUT_OF_RANGE: 2,
  UNAUTHENTICATED: 2,
  UNREACHABLE: 3,
  LOG_STREAM_NOT_FOUND: 4,
  NOT_FOUND: 4,
  TOPIC_NOT_FOUND: 4,
  ALREADY_EXISTS: 5,
  BEYOND_TAIL: 5,
  CLUSTER_MISMATCH: 5,
  CONDITION_FAILED: 5,
  DIRECTORY_IN_USE: 5,
  FAILED_PRECONDITION: 5,
  TRIMMED: 5,
  CORRUPT: 6,
  FORMAT_UNKNOWN: 7,
  TIMEOUT: 124,
};
