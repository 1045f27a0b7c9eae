import { checkNames, type LogStreamId, type TopicId, VarlogError } from '../../base/index.ts';
import { AppendCondition as WireCondition } from '../../wire/gen/log.ts';
import type { AppendCondition } from '../core/index.ts';
import type { CallLimits } from './call-limit.ts';
import type { Catalog } from './catalog.ts';
import { EXPECT_NAMES, EXPECT_STREAM_NAMES } from './option-names.ts';

const utf8 = new TextEncoder();

/**
 * What an append expects of the log stream to which it goes. The primary of the log stream decides, before the batch has a
 * place, and looks also at what is not ordered yet. If one of the expectations does not hold, the append fails with
 * `CONDITION_FAILED`, `notAppended`, and `details` has what was `expected` and what is `actual`.
 *
 * `tail` and `stream` are about LLSNs, so where a topic has several log streams, name one with `logStream`: they say nothing of
 * the others.
 */
export interface Expectation {
  /** LLSN of the last record of the log stream, 0 for none: nobody has appended to it since. */
  readonly tail?: number;
  /**
   * The log stream has no record with this key after LLSN `version`. That is the LLSN of the last record with the key that the caller has
   * seen, or any place up to which it has read the log stream; 0: there is none with the key at all.
   */
  readonly stream?: { readonly key: string | Uint8Array; readonly version: number };
  /**
   * The fencing token of the log stream: nobody has called {@link Topic.fence} with a higher one since. One that nobody has set yet is
   * waited for.
   */
  readonly fence?: number;
}

/** As the primary is asked. Throws `INVALID_ARGUMENT`: nothing was sent then. */
export function conditionOf(expect: Expectation): AppendCondition {
  if (typeof expect !== 'object' || expect === null) {
    throw refused(`expect is ${String(expect)}`, 'give an object: { tail: 41 }');
  }
  // One that is misspelt beside another one would not be looked at, and the append would take effect.
  checkNames(expect, EXPECT_NAMES, 'expect');
  const { tail, stream, fence } = expect;
  if (tail === undefined && stream === undefined && fence === undefined) {
    throw refused('expect names nothing that is expected', 'give tail, stream or fence');
  }
  if (tail !== undefined) checkLlsn('expect.tail', tail);
  if (fence !== undefined) checkToken('expect.fence', fence);
  if (stream === undefined) return { tail, fence };
  if (typeof stream !== 'object' || stream === null) {
    throw refused(
      `expect.stream is ${String(stream)}`,
      'give the key and its version: { key: "a", version: 41 }',
    );
  }
  checkNames(stream, EXPECT_STREAM_NAMES, 'expect.stream');
  checkLlsn('expect.stream.version', stream.version);
  return { tail, fence, key: { key: keyBytes(stream.key), version: stream.version } };
}

/** Throws `INVALID_ARGUMENT` for what cannot be a fencing token. */
export function checkToken(what: string, token: unknown): void {
  if (Number.isSafeInteger(token) && (token as number) >= 1) return;
  throw refused(
    `${what} is ${String(token)}`,
    'give a fencing token: a whole number from 1, below 2^53',
  );
}

/**
 * The log stream that an append with a condition goes to: positions and versions are those of one log stream, so
 * where none was chosen there must be one only. `undefined`: any of them. Rejects with `INVALID_ARGUMENT` or `TOPIC_NOT_FOUND`.
 */
export async function logStreamOf(
  catalog: Catalog,
  topicId: TopicId,
  { tail, key }: AppendCondition,
  options: CallLimits & { logStream?: LogStreamId },
): Promise<LogStreamId | undefined> {
  const { logStream: chosen } = options;
  if (chosen !== undefined || (tail === undefined && key === undefined)) return chosen;
  const { logStreams } = catalog.known(topicId) ?? (await catalog.topic(topicId, options));
  if (logStreams.length === 1) return logStreams[0]!.id;
  throw refused(
    `it is not said which of the ${logStreams.length} log streams of topic ${topicId} the expectation is about`,
    'name it with logStream: tail and versions are positions in one log stream',
  );
}

/** As it lies in a message, beside the records. */
export function conditionToWire(condition: AppendCondition, count: number): WireCondition {
  const { tail = null, key = null, fence = null } = condition;
  return WireCondition.create({ count, tail, key, fence });
}

/**
 * What to make of a refusal of a batch with a condition. A node of a version without conditions sees an empty batch: see
 * `AppendBatch.condition`.
 */
export function withoutConditions(
  error: unknown,
  condition: AppendCondition | undefined,
): VarlogError | undefined {
  if (condition === undefined || !VarlogError.is(error, 'EMPTY_BATCH')) return undefined;
  return new VarlogError('FAILED_PRECONDITION', {
    what: 'a storage node does not take appends with expectations',
    because: 'it runs an older version',
    next: 'upgrade all storage nodes, then append it again',
    outcome: 'notAppended',
    cause: error,
  });
}

function keyBytes(key: unknown): Uint8Array {
  if (key instanceof Uint8Array) return key.slice();
  if (typeof key === 'string') return utf8.encode(key);
  throw refused(
    `expect.stream.key is neither bytes nor text but ${key === null ? 'null' : typeof key}`,
    'give the key as the records have it',
  );
}

function checkLlsn(what: string, value: unknown): void {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return;
  throw refused(
    `${what} is ${String(value)}`,
    'give an LLSN that an append or an entry has shown, or 0 for none',
  );
}

function refused(what: string, next: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, next, outcome: 'notAppended' });
}
