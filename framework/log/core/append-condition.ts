import { VarlogError } from '../../base/index.ts';
import { keyHash } from './key-hash.ts';
import type { KeyTable } from './key-table.ts';

/** What has to hold of a log stream when its primary takes a batch; of what is not given, nothing is asked. */
export interface AppendCondition {
  /** LLSN of its last record; 0: it has none. */
  readonly tail?: number | undefined;
  /** It has no record with this key after the LLSN `version`. */
  readonly key?: { readonly key: Uint8Array; readonly version: number } | undefined;
  /** Its fencing token. */
  readonly fence?: number | undefined;
}

/** A log stream as its primary sees it: with what is not ordered yet. */
export interface ConditionSubject {
  readonly logStreamId: number;
  /** LLSN of the last record. */
  readonly end: number;
  readonly keys: KeyTable;
  /** 0: it was never fenced. */
  readonly fence: number;
}

/**
 * Decides whether a batch may be appended. Throws `CONDITION_FAILED`, with what was found in the details, and `UNAVAILABLE`
 * where the token is not known yet; otherwise gives back the LLSN of the last record on which that rests: if it is cut off,
 * so must be the batch.
 */
export function checkCondition(
  { tail, key, fence }: AppendCondition,
  { logStreamId, end, keys, fence: token }: ConditionSubject,
): number {
  const where = `log stream ${logStreamId}`;
  if (fence !== undefined && fence !== token) throw fenced(where, logStreamId, fence, token);
  if (tail !== undefined && tail !== end) {
    throw failed({
      what: `the last record of ${where} is at LLSN ${end}, not ${tail}`,
      next: 'read what was appended since, and decide anew',
      details: { condition: 'tail', logStream: logStreamId, expected: tail, actual: end },
    });
  }
  if (key !== undefined) checkVersion(where, logStreamId, key, end, keys);
  return Math.max(tail ?? 0, key?.version ?? 0);
}

function checkVersion(
  where: string,
  logStream: number,
  { key, version: expected }: { key: Uint8Array; version: number },
  end: number,
  keys: KeyTable,
): void {
  const { version: actual, atMost } = keys.versionOf(keyHash(key));
  const details = { condition: 'stream', logStream, expected, actual, atMost };
  if (expected > end) {
    throw failed({
      what: `${where} ends at LLSN ${end}, before version ${expected} of a key`,
      next: 'give the LLSN of a record of this log stream',
      details,
    });
  }
  if (actual <= expected) return;
  throw failed({
    what: atMost
      ? `the key may have a record in ${where} up to LLSN ${actual}, after version ${expected}`
      : `the key has a record in ${where} at LLSN ${actual}, after version ${expected}`,
    ...(atMost && { because: 'only the keys of the last records are remembered' }),
    next: `read the log stream at least up to LLSN ${actual}, and decide anew`,
    details,
  });
}

function fenced(where: string, logStream: number, expected: number, actual: number): VarlogError {
  const details = { condition: 'fence', logStream, expected, actual };
  if (expected < actual) {
    return failed({
      what: `${where} is fenced by token ${actual}, and the append carries ${expected}`,
      next: 'somebody took over: stop, or take over again with topic.fence()',
      details,
    });
  }
  // Either nobody has set it, or the primary was replaced without noticing: the one that knows it may take the batch.
  return new VarlogError('UNAVAILABLE', {
    what: `the primary of ${where} knows no token above ${actual}, and the append carries ${expected}`,
    next: 'call topic.fence() with the token first, and wait until it resolves',
    details,
    outcome: 'notAppended',
  });
}

/** A condition does not hold: for certain, nothing was stored. */
function failed(parts: {
  what: string;
  because?: string;
  next: string;
  details: Record<string, unknown>;
}): VarlogError {
  return new VarlogError('CONDITION_FAILED', { ...parts, outcome: 'notAppended' });
}

/** A batch was taken because of records that were never ordered: it is lost with them, and its condition does not hold any more. */
export function lostWithItsBase(logStreamId: number, restsOn: number, end: number): VarlogError {
  return failed({
    what: `log stream ${logStreamId} was sealed at LLSN ${end}, before the record at ${restsOn} was ordered on which the condition rests`,
    next: 'read the log, and decide anew',
    details: { condition: 'tail', logStream: logStreamId, expected: restsOn, actual: end },
  });
}
