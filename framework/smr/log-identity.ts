import { type Clock, type OrderedLog, sleep, VarlogError } from '../base/index.ts';
import { fnv1a } from './fnv.ts';

/** Names of machines are as long as a SQL column that holds one. */
const NAME_MAX = 100;
const RETRY_MS = 200;

/** Whose commands a machine applies, and whose state it may go on from. */
export interface LogIdentity {
  /** `OrderedLog.identity()`. */
  readonly log: string;
  /** Name of the machine: several may share a log, and none sees the commands of another. */
  readonly machine: string;
}

/** The eight bytes by which a command says whose it is. They keep apart, they do not authenticate. */
export function tagOf({ log, machine }: LogIdentity): Uint8Array {
  const tag = new Uint8Array(8);
  new DataView(tag.buffer).setBigUint64(0, fnv1a(`${log}\0${machine}`), true);
  return tag;
}

/** Throws `LOG_MISMATCH` where a state was not made by `own`. `what` names the state and its place. */
export function checkIdentity(stored: LogIdentity, own: LogIdentity, what: string): void {
  if (stored.log === own.log && stored.machine === own.machine) return;
  const name = ({ log, machine }: LogIdentity): string => `machine "${machine}" on log "${log}"`;
  throw new VarlogError('LOG_MISMATCH', {
    what: `${what} belongs to ${name(stored)}, and this replica is ${name(own)}`,
    because: 'the place is that of another replica, the log was made anew, or the name was changed',
    next: 'correct the log, the place or the name; or move the old state away and start from this log',
    details: { stored, own },
  });
}

/** The error for a state that is ahead of its log. */
export function beyondTail(position: number, tail: number): VarlogError {
  return new VarlogError('BEYOND_TAIL', {
    what: `the stored state is at position ${position}, and the log ends at ${tail}`,
    because: 'the log lost its end, or was restored from an older copy',
    next: 'restore the whole log, or move the stored state away and start from what the log has',
    details: { position, tail },
  });
}

export function checkedName(name: string): string {
  if (name !== '' && name.length <= NAME_MAX && !name.includes('\0')) return name;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `"${name}" cannot be the name of a machine`,
    next: `give 1 to ${NAME_MAX} characters`,
  });
}

/**
 * Waits until the log knows which one it is. `failed` is told of each attempt that did not. Rejects with an error
 * that stays, or when `signal` is aborted.
 */
export async function identityOf(
  log: OrderedLog,
  clock: Clock,
  signal: AbortSignal,
  failed: (error: unknown) => void = () => {},
): Promise<string> {
  for (;;) {
    try {
      return await log.identity({ signal });
    } catch (error) {
      signal.throwIfAborted();
      if (!VarlogError.is(error) || !error.retryable) throw error;
      failed(error);
    }
    await sleep(clock, RETRY_MS, signal);
  }
}
