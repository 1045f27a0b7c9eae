import {
  checkFlag,
  checkFunctions,
  checkGivenNumber,
  checkNames,
  checkNumber,
  type OptionNames,
} from '../base/index.ts';
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
    checkNumber(options[key], key, 0);
  for (const key of ['batchMax', 'attemptsMax', 'takeOverMs'] as const)
    checkNumber(options[key], key, 1);
  if (typeof every !== 'object' || every === null) checkNumber(every, 'snapshotEvery', 1);
  else checkSchedule(every);
  for (const key of ['trimLog', 'readOnly', 'alone'] as const) checkFlag(options[key], key);
  if (options.onApplied !== undefined) checkFunctions({ onApplied: options.onApplied });
  if (sessions !== undefined) checkWhole('sessions', sessions, ['sessionsMax', 'idleMs']);
  if (requests !== undefined) checkWhole('requests', requests, ['keepMs', 'bytesMax']);
  if (timers !== undefined) checkWhole('timers', timers, ['bytesMax']);
}

/** All of these must be given. */
function checkWhole<T extends object>(name: string, group: T, keys: readonly (keyof T)[]): void {
  for (const key of keys) checkGivenNumber(group?.[key], `${name}.${String(key)}`, 0);
}

function checkSchedule(schedule: SnapshotSchedule): void {
  checkNames(schedule, SCHEDULE_NAMES, 'snapshotEvery');
  for (const key of ['entries', 'bytes', 'ms'] as const)
    checkNumber(schedule[key], `snapshotEvery.${key}`, 1);
}
