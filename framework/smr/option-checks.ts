import { VarlogError } from '../base/index.ts';
import type { AdmissionLimits } from './admission.ts';
import type { SnapshotSchedule } from './snapshot-schedule.ts';

/** The options of replicas, in memory and in SQL, that are numbers, functions, and yes or no. */
export interface PlainOptions extends AdmissionLimits {
  readonly snapshotEvery?: number | SnapshotSchedule;
  readonly callTimeoutMs?: number;
  readonly queueBytesMax?: number;
  readonly changesBytesMax?: number;
  readonly batchMax?: number;
  readonly attemptsMax?: number;
  readonly takeOverMs?: number;
  readonly trimLog?: boolean;
  readonly readOnly?: boolean;
  readonly alone?: boolean;
  readonly onApplied?: unknown;
}

const SCHEDULE_NAMES: OptionNames<SnapshotSchedule> = { entries: true, bytes: true, ms: true };

/**
 * Throws `INVALID_ARGUMENT` for what makes no sense. A limit that is no number holds nothing back, and one for the log's
 * time gets into the state of all replicas: too late, when somebody notices.
 */
export function checkOptions(options: PlainOptions): void {
  const { snapshotEvery: every = {}, sessions, requests, timers } = options;
  for (const key of ['callTimeoutMs', 'queueBytesMax', 'changesBytesMax', 'timeLeapMaxMs'] as const)
    if (options[key] !== undefined) checkNumber(options[key], key, 0);
  for (const key of ['batchMax', 'attemptsMax', 'takeOverMs'] as const)
    if (options[key] !== undefined) checkNumber(options[key], key, 1);
  if (typeof every !== 'object' || every === null) checkNumber(every, 'snapshotEvery', 1);
  else checkSchedule(every);
  for (const key of ['trimLog', 'readOnly', 'alone'] as const) checkFlag(options[key], key);
  if (options.onApplied !== undefined) checkFunctions({ onApplied: options.onApplied });
  if (sessions !== undefined) checkWhole('sessions', sessions, ['sessionsMax', 'idleMs']);
  if (requests !== undefined) checkWhole('requests', requests, ['keepMs', 'bytesMax']);
  if (timers !== undefined) checkWhole('timers', timers, ['bytesMax']);
}

/** The names of all options of a kind: the compiler sees that none is missing. With `false` it is taken, and not offered. */
export type OptionNames<Options> = Readonly<Record<keyof Options, boolean>>;

/**
 * Throws `INVALID_ARGUMENT` for what are no options, and for one that `of` does not have. A misspelt one would otherwise
 * be one that was left out: without a snapshot, a check or a limit, and nobody sees that.
 */
export function checkNames<Options>(
  options: Options,
  names: OptionNames<Options>,
  of: string,
): void {
  if (typeof options !== 'object' || options === null) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `the options of ${of} are ${shown(options)}`,
      next: `give an object: ${offered(names)}`,
      outcome: 'notAppended',
    });
  }
  for (const name in options) {
    if (Object.hasOwn(names, name)) continue;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `there is no option "${name}" of ${of}`,
      next: `choose among ${offered(names)}`,
      outcome: 'notAppended',
    });
  }
}

function offered(names: Readonly<Record<string, boolean>>): string {
  return Object.keys(names)
    .filter((name) => names[name])
    .join(', ');
}

/** A value that was given in place of another, as it is told to who gave it. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'string') return `the text "${value}"`;
  if (typeof value === 'function') return `the function ${value.name}`.trim();
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value) ? 'a list' : `an object (${value.constructor?.name || 'Object'})`;
}

/** Throws `INVALID_ARGUMENT` where it is no number, or a smaller one. Infinity is one: no limit. */
export function checkNumber(value: unknown, what: string, least: number): void {
  if (typeof value === 'number' && value >= least) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${what} is ${shown(value)}: it cannot be used`,
    next: `give a number from ${least} on, or leave it out`,
    outcome: 'notAppended',
  });
}

/** Throws `INVALID_ARGUMENT` for what is no function. */
export function checkFunctions(functions: Readonly<Record<string, unknown>>): void {
  for (const [name, it] of Object.entries(functions)) {
    if (typeof it === 'function') continue;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `${name} is ${shown(it)}`,
      next: `give ${name}, a function`,
    });
  }
}

/** Throws `INVALID_ARGUMENT` where it is no whole number, or a smaller one than `least`. Left out is fine. */
export function checkCount(value: unknown, what: string, least = 1): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= least)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${what} is ${shown(value)}: it cannot be used`,
    next: `give a whole number from ${least} on, or leave it out`,
  });
}

/** Throws `INVALID_ARGUMENT` where it is no list of so many; `wanted` says of what. Left out is fine. */
export function checkList(value: unknown, what: string, length: number, wanted: string): void {
  if (value === undefined || (Array.isArray(value) && value.length === length)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${what} is ${Array.isArray(value) ? `a list of ${value.length}` : shown(value)}`,
    next: `give a list of ${length}, ${wanted}, or leave it out`,
  });
}

/** Throws `INVALID_ARGUMENT` for what is no number of milliseconds. */
export function checkTimeout(timeoutMs: number | undefined): void {
  if (timeoutMs !== undefined) checkNumber(timeoutMs, 'timeoutMs', 0);
}

/** Throws `INVALID_ARGUMENT` where it is none of these words. Left out is fine. */
export function checkWord(value: unknown, name: string, words: readonly string[]): void {
  if (value === undefined || words.includes(value as string)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${name} is ${shown(value)}`,
    next: `choose among ${words.join(', ')}`,
    outcome: 'notAppended',
  });
}

/** Throws `INVALID_ARGUMENT` for what is neither yes nor no: the text "false" is not no. */
function checkFlag(value: unknown, name: string): void {
  if (value === undefined || typeof value === 'boolean') return;
  const next = 'give true or false, or leave it out';
  throw new VarlogError('INVALID_ARGUMENT', { what: `${name} is ${shown(value)}`, next });
}

/** All of these must be given. */
function checkWhole<T extends object>(name: string, group: T, keys: readonly (keyof T)[]): void {
  for (const key of keys) checkNumber(group?.[key], `${name}.${String(key)}`, 0);
}

function checkSchedule(schedule: SnapshotSchedule): void {
  checkNames(schedule, SCHEDULE_NAMES, 'snapshotEvery');
  for (const key of ['entries', 'bytes', 'ms'] as const)
    if (schedule[key] !== undefined) checkNumber(schedule[key], `snapshotEvery.${key}`, 1);
}
