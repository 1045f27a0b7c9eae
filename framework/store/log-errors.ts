import { reasonOf, VarlogError } from '../base/index.ts';

/** How errors name a log. */
interface LogName {
  readonly directory: string;
  readonly label: string;
}

const STAYS = ['INVARIANT', 'CORRUPT', 'FORMAT_UNKNOWN'] as const;

/** Writing failed: what it left on the disk is not known. Bugs, damage and unknown formats stay what they are. */
export function failed(log: LogName, cause: unknown): VarlogError {
  if (VarlogError.is(cause) && STAYS.some((it) => it === cause.code)) return cause;
  return new VarlogError('DISK_FAILED', {
    what: `the ${log.label} in ${log.directory} could not be written`,
    because: reasonOf(cause),
    next: 'repair the disk and start again: nothing more is written until then',
    outcome: 'unknown',
    details: {
      directory: log.directory,
      reason: VarlogError.is(cause) ? cause.code : 'INTERNAL',
    },
    cause,
  });
}

/** There is no room, or no more files may be opened. Nothing is in doubt: what was appended waits. */
export function full({ directory, label }: LogName, cause: VarlogError): VarlogError {
  return new VarlogError('DISK_FULL', {
    what: `the ${label} in ${directory} takes nothing more`,
    because: reasonOf(cause),
    next: 'writing goes on by itself as soon as there is room',
    outcome: 'notAppended',
    details: { directory },
    cause,
  });
}

export function closed({ directory }: LogName): VarlogError {
  return new VarlogError('CLOSED', { what: `the log in ${directory} was closed` });
}

export function trimmed(log: LogName, from: number, first: number): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `position ${from} of the ${log.label} was trimmed; the first one kept is ${first}`,
    next: `read from ${first} on`,
    details: { firstAvailable: first },
  });
}

export function cancelled(log: LogName, position: number): VarlogError {
  return new VarlogError('CANCELLED', {
    what: `position ${position} of the ${log.label} was cut off before it was durable`,
  });
}
