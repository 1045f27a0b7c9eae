import {
  type AtomicAppend,
  Backoff,
  type Batch,
  type LogStreamId,
  type Random,
  type RecordLimits,
  reasonOf,
  sleep,
  type TopicId,
  VarlogError,
} from '../../base/index.ts';
import { TOGETHER_FROM } from '../core/index.ts';
import { type AppendInput, toBatch } from './append-batch.ts';
import type { CallLimits } from './call-limit.ts';
import { checkWhole } from './checked-option.ts';
import type { ClientContext } from './client-context.ts';
import { type AppendAck, withOutcome } from './pending-append.ts';
import type { RecordCodec } from './record-codec.ts';
import type { RecordAttributes } from './record-headers.ts';

/** Parts of one atomic append: all of them are named in each. */
const PARTS_MAX = 64;
/** The leader looks every second whether all support a higher feature level. */
const AGREE_MS = 2_500;
const AGREE_POLL_MS = 100;
const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 200;

/** What an atomic append adds to one log stream. `key` and `headers` are of each record that has none of its own. */
export interface AppendPart<In> extends RecordAttributes {
  readonly logStream: LogStreamId;
  readonly records: AppendInput<In>;
}

/** Where an atomic append ended up: one acknowledgement for each part, in their order. */
export type AtomicAck = readonly AppendAck[];

/**
 * Frames the parts of an atomic append, one batch for each. Throws `EMPTY_BATCH`, `ENTRY_TOO_LARGE` or `INVALID_ARGUMENT`: nothing
 * was sent then. `bytesMax` is for all of them together: what does not fit among what is in flight would wait for itself.
 */
export function toBatches<In>(
  parts: readonly AppendPart<In>[],
  codec: RecordCodec<unknown, In>,
  limits: RecordLimits,
  random: Pick<Random, 'below'>,
): Batch[] {
  const logStreams = parts.map((it) => it.logStream).sort((a, b) => a - b);
  const refuse = (what: string, next: string): VarlogError =>
    new VarlogError('INVALID_ARGUMENT', { what, next, outcome: 'notAppended' });
  for (const [i, it] of logStreams.entries()) {
    checkWhole(it, 'the id of a log stream');
    if (it === logStreams[i + 1]) {
      throw refuse(`log stream ${it} has two parts of an atomic append`, 'give it one, of both');
    }
  }
  if (parts.length > PARTS_MAX) {
    const what = `an atomic append of ${parts.length} parts; it may have ${PARTS_MAX}`;
    throw refuse(what, 'append to fewer log streams at once');
  }
  const id = random.below(2 ** 21) * 2 ** 32 + random.below(2 ** 32);
  // A batch is atomic by itself.
  const atomic: AtomicAppend | undefined = parts.length < 2 ? undefined : { id, logStreams };
  const batches = parts.map((it) => toBatch(it.records, codec, it, limits, atomic && { atomic }));
  const bytes = batches.reduce((sum, it) => sum + it.bytes.length, 0);
  if (batches.length > 0 && bytes <= limits.batchBytes) return batches;
  const outcome = 'notAppended';
  if (batches.length === 0) {
    const next = 'give at least one part';
    throw new VarlogError('EMPTY_BATCH', { what: 'an atomic append of no parts', next, outcome });
  }
  throw new VarlogError('ENTRY_TOO_LARGE', {
    what: `the parts have ${bytes} bytes together; an atomic append may have ${limits.batchBytes}`,
    next: 'store the payload elsewhere and append references',
    outcome,
  });
}

/** A part on its way. */
interface FramedPart {
  readonly logStream: LogStreamId;
  readonly batch: Batch;
}

/**
 * Appends atomically, and does so again, with parts that `frame` makes anew, while that certainly did not take effect and
 * there is time left.
 */
export async function appendAtomically(
  context: ClientContext,
  topicId: TopicId,
  frame: () => readonly FramedPart[],
  { signal, timeoutMs }: CallLimits & { timeoutMs: number },
): Promise<AtomicAck> {
  const { clock, random } = context.ports;
  const until = clock.now() + timeoutMs;
  const backoff = new Backoff(random, RETRY_MS_MIN, RETRY_MS_MAX);
  for (;;) {
    const parts = frame();
    try {
      if (parts.length > 1) await checkLevel(context, until, signal);
      return await appendOnce(context, topicId, parts, { signal, timeoutMs, until });
    } catch (error) {
      if (signal?.aborted === true || !isCertain(error) || !error.retryable) throw error;
      const leftMs = until - clock.now();
      if (leftMs > 0) await sleep(clock, Math.min(backoff.nextMs(), leftMs), signal);
      // What was the matter says more than that the time is over.
      if (clock.now() >= until) throw error;
    }
  }
}

/**
 * Sends each part to its primary, and tries it again while it certainly was not taken. The parts are ordered together or
 * not at all, so one that certainly is not in the log stands for all of them.
 */
function appendOnce(
  context: ClientContext,
  topicId: TopicId,
  parts: readonly FramedPart[],
  limits: { signal: AbortSignal | undefined; timeoutMs: number; until: number },
): Promise<AtomicAck> {
  const { signal } = limits;
  const tries = new AbortController();
  const asked = { ...limits, topicId, tries: tries.signal };
  const asks = parts.map(({ logStream, batch }) =>
    context.appender.append({ ...asked, batch, logStream }),
  );
  return new Promise((resolve, reject) => {
    for (const it of asks) {
      it.catch((error: unknown) => {
        // The others cannot succeed any more, or have.
        tries.abort(notTaken(error));
        if (isCertain(error)) reject(error);
      });
    }
    Promise.allSettled(asks).then((results) => {
      const acks = results.flatMap((it) => (it.status === 'fulfilled' ? [it.value] : []));
      const failed = results.find((it) => it.status === 'rejected');
      if (failed === undefined) resolve(acks);
      else if (signal?.aborted) reject(signal.reason);
      else reject(acks.length === 0 ? failed.reason : placesUnknown(acks, failed.reason));
    }, reject);
  });
}

/** Before all nodes know what a part is, one would take it for a batch like any other. */
async function checkLevel(
  { repository, ports: { clock } }: ClientContext,
  until: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  // A cluster that was started or upgraded just now agrees within a moment.
  const agreedBy = Math.min(clock.now() + AGREE_MS, until - AGREE_POLL_MS);
  while (repository.featureLevel < TOGETHER_FROM) {
    const timeoutMs = Math.max(1, until - clock.now());
    await repository.members({ timeoutMs, ...(signal && { signal }) }).catch((error: unknown) => {
      throw withOutcome(error);
    });
    if (repository.featureLevel >= TOGETHER_FROM) return;
    if (clock.now() >= agreedBy) throw notAgreed(repository.featureLevel);
    await sleep(clock, AGREE_POLL_MS, signal);
  }
}

function notAgreed(featureLevel: number): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `atomic appends take feature level ${TOGETHER_FROM}, and the cluster has agreed on ${featureLevel}`,
    because: 'a member of the metadata repository or a storage node runs an older version',
    next: 'upgrade and start all of them: "varlog status" shows which version each one supports',
    details: { level: TOGETHER_FROM, featureLevel },
    outcome: 'notAppended',
  });
}

function isCertain(error: unknown): error is VarlogError {
  return VarlogError.is(error) && error.outcome === 'notAppended';
}

/** For parts that were never sent. */
function notTaken(cause: unknown): VarlogError {
  return new VarlogError('UNAVAILABLE', {
    what: 'another part of the atomic append failed',
    because: reasonOf(cause),
    next: 'append it again',
    outcome: 'notAppended',
    cause,
  });
}

/** Some parts were acknowledged, so all of them are in the log; what is not known is where the others are. */
function placesUnknown(acks: readonly AppendAck[], cause: unknown): VarlogError {
  const places = acks.map(({ logStream, glsn }) => ({ logStream, glsn }));
  return new VarlogError('APPEND_UNKNOWN', {
    what: `the atomic append is in the log, and where some of its parts are was not answered`,
    because: reasonOf(cause),
    next: `read the topic around ${acks[0]!.glsn} to see where; do not append it again`,
    outcome: 'unknown',
    details: { appended: places },
    cause,
  });
}
