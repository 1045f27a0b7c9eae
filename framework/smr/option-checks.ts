import { VarlogError } from '../base/index.ts';
import type { AdmissionLimits } from './admission.ts';
import type { SnapshotSchedule } from './snapshot-schedule.ts';

/** The options of replicas, in memory and in SQL, that are numbers. */
export interface NumericOptions extends AdmissionLimits {
  readonly snapshotEvery?: number | SnapshotSchedule;
  readonly callTimeoutMs?: number;
  readonly queueBytesMax?: number;
  readonly changesBytesMax?: number;
  readonly batchMax?: number;
  readonly attemptsMax?: number;
  readonly takeOverMs?: number;
}

/**
 * Throws `INVALID_ARGUMENT` for what makes no sense. A limit that is no number holds nothing back, and one for the log's
 * time gets into the state of all replicas: too late, when somebody notices.
 */
export function checkOptions(options: NumericOptions): void {
  const { snapshotEvery: every = {}, sessions, requests, timers } = options;
  for (const key of ['callTimeoutMs', 'queueBytesMax', 'changesBytesMax', 'timeLeapMaxMs'] as const)
    if (options[key] !== undefined) checkNumber(options[key], key, 0);
  for (const key of ['batchMax', 'attemptsMax', 'takeOverMs'] as const)
    if (options[key] !== undefined) checkNumber(options[key], key, 1);
  if (typeof every !== 'object' || every === null) checkNumber(every, 'snapshotEvery', 1);
  else checkGroup('snapshotEvery', every, ['entries', 'bytes', 'ms'], 1);
  if (sessions !== undefined) checkWhole('sessions', sessions, ['sessionsMax', 'idleMs']);
  if (requests !== undefined) checkWhole('requests', requests, ['keepMs', 'bytesMax']);
  if (timers !== undefined) checkWhole('timers', timers, ['bytesMax']);
}

/** Throws `INVALID_ARGUMENT` where it is no number, or a smaller one. Infinity is one: no limit. */
export function checkNumber(value: unknown, what: string, least: number): void {
  if (typeof value === 'number' && value >= least) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${what} is ${typeof value === 'string' ? `the text "${value}"` : String(value)}: it cannot be used`,
    next: `give a number from ${least} on, or leave it out`,
    outcome: 'notAppended',
  });
}

/** Throws `INVALID_ARGUMENT` for what is no position of a log, nor 0, the one before the first. */
export function checkPosition(value: unknown, what: string): void {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${what} is ${typeof value === 'string' ? `the text "${value}"` : String(value)}: it is no position`,
    next: 'give a whole number: the position of an entry, or 0 for the begin of the log',
  });
}

/** Throws `INVALID_ARGUMENT` for what is no number of milliseconds. */
export function checkTimeout(timeoutMs: number | undefined): void {
  if (timeoutMs !== undefined) checkNumber(timeoutMs, 'timeoutMs', 0);
}

/** All of these must be given. */
function checkWhole<T extends object>(name: string, group: T, keys: readonly (keyof T)[]): void {
  for (const key of keys) checkNumber(group?.[key], `${name}.${String(key)}`, 0);
}

/** Any of these may be given. */
function checkGroup<T extends object>(
  name: string,
  group: T,
  keys: readonly (keyof T)[],
  least: number,
): void {
  for (const key of keys)
    if (group[key] !== undefined) checkNumber(group[key], `${name}.${String(key)}`, least);
}
