import { type Disk, reasonOf, VarlogError } from '../base/index.ts';

/** How errors name a log. */
interface LogName {
  readonly disk: Pick<Disk, 'pathOf'>;
  readonly directory: string;
  readonly label: string;
}

/** What to do about damage, where the owner of the files says nothing else: what is stored is the copy of a replica. */
export const REBUILD = 'rebuild this replica from another one';

const STAYS = ['INVARIANT', 'CORRUPT', 'FORMAT_UNKNOWN'] as const;

/** Writing failed: what it left on the disk is not known. Bugs, damage and unknown formats stay what they are. */
export function failed(log: LogName, cause: unknown): VarlogError {
  if (VarlogError.is(cause) && STAYS.some((it) => it === cause.code)) return cause;
  const directory = log.disk.pathOf(log.directory);
  return new VarlogError('DISK_FAILED', {
    what: `the ${log.label} in ${directory} could not be written`,
    because: reasonOf(cause),
    next: 'repair the disk and start again: nothing more is written until then',
    outcome: 'unknown',
    details: {
      directory,
      reason: VarlogError.is(cause) ? cause.code : 'INTERNAL',
    },
    cause,
  });
}

/** There is no room, or no more files may be opened. Nothing is in doubt: what was appended waits. */
export function full({ disk, label, ...log }: LogName, cause: VarlogError): VarlogError {
  const directory = disk.pathOf(log.directory);
  return new VarlogError('DISK_FULL', {
    what: `the ${label} in ${directory} takes nothing more`,
    because: reasonOf(cause),
    next: 'writing goes on by itself as soon as there is room',
    outcome: 'notAppended',
    details: { directory },
    cause,
  });
}

export function closed({ disk, directory }: LogName): VarlogError {
  return new VarlogError('CLOSED', { what: `the log in ${disk.pathOf(directory)} was closed` });
}

export function trimmed(log: Pick<LogName, 'label'>, from: number, first: number): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `position ${from} of the ${log.label} was trimmed; the first one kept is ${first}`,
    next: `read from ${first} on`,
    details: { firstAvailable: first },
  });
}

export function cancelled(log: Pick<LogName, 'label'>, position: number): VarlogError {
  return new VarlogError('CANCELLED', {
    what: `position ${position} of the ${log.label} was cut off before it was durable`,
  });
}
