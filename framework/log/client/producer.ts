import {
  Backoff,
  checkNames,
  checkSignal,
  glsn,
  type LogStreamId,
  llsn,
  onAbort,
  reasonOf,
  type Timer,
  type TopicId,
  VarlogError,
} from '../../base/index.ts';
import type { AppendResult } from '../../wire/gen/log.ts';
import { type AppendCondition, PRODUCER_LIMITS } from '../core/index.ts';
import { type AppendInput, toBatch } from './append-batch.ts';
import type { AppendLink, Sending } from './append-link.ts';
import { type ReceiptTimer, receiptTimer } from './append-receipt.ts';
import { type CallLimits, checkTimeout } from './call-limit.ts';
import type { LocatedLogStream } from './catalog.ts';
import type { ClientContext } from './client-context.ts';
import { conditionOf, type Expectation, withoutConditions } from './expectation.ts';
import { PRODUCER_APPEND_NAMES } from './option-names.ts';
import { type AppendAck, isWorthRetrying } from './pending-append.ts';
import type { RecordCodec, RecordInput } from './record-codec.ts';
import type { RecordAttributes } from './record-headers.ts';

const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 200;
/** Long enough for a log stream to be given another primary, more than once. */
const TIMEOUT_MS = 30_000;
/** Bytes of batches on the way. More wait. */
const IN_FLIGHT_BYTES = 16 * 1024 * 1024;
/** Bytes of batches that have no answer. More are refused. */
const QUEUE_BYTES = 64 * 1024 * 1024;

/** Where an append of a producer ended up. */
export interface ProducerAck extends AppendAck {
  /** Sequence number of the first record. */
  readonly sequence: number;
  /** An earlier try had put the batch there, of which the outcome was not known. */
  readonly duplicate: boolean;
}

/** One append, from the call until it is known where it stands. */
interface Item {
  /** Batches are numbered from 0. */
  readonly number: number;
  readonly sequence: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly condition: AppendCondition | undefined;
  readonly deadline: Timer | undefined;
  readonly timer: ReceiptTimer | undefined;
  /** Where the current try is. */
  sent: { readonly link: AppendLink; readonly ticket: number } | undefined;
  /** Some try may have taken effect. */
  uncertain: boolean;
  resolve(ack: ProducerAck): void;
  reject(error: unknown): void;
}

/** What a producer is, as it was opened. */
export interface ProducerIdentity {
  readonly topic: TopicId;
  readonly id: number;
  readonly epoch: number;
  readonly logStream: LogStreamId;
}

/**
 * Appends exactly once: whatever happens to the connection or to the primary, each append stands in the log once when
 * it is acknowledged, in the order of the calls. Made by `topic.producer({ id })`.
 *
 * All its batches go to one log stream, numbered. A try of which the outcome is not known is repeated under the same
 * number, until the time of the append is over. The log stream tells a repeated batch from a new one, refuses one that
 * comes before its predecessors, and takes nothing more from this producer once a later one of the same id has
 * appended (`PRODUCER_FENCED`).
 *
 * An append that fails ends the producer, because those behind it must not overtake it; they fail with it. To go on,
 * open the producer anew: that ends also what is still on its way, as soon as the new one has appended.
 */
export class TopicProducer<In = RecordInput> {
  readonly topic: TopicId;
  readonly id: number;
  /** Higher than that of every producer of the topic that was opened before. */
  readonly epoch: number;
  readonly logStream: LogStreamId;
  private readonly context: ClientContext;
  private readonly codec: RecordCodec<unknown, In>;
  /** Set late: of a client that was closed while this was opened, the end comes at once. */
  private forget: () => void = () => {};
  /** Without an answer, in order. */
  private queue: Item[] = [];
  private queueBytes = 0;
  /** So many of them, from the first on, were handed to the primary in this round. */
  private sent = 0;
  private sentBytes = 0;
  private nextNumber = 0;
  private nextSequence = 0;
  /** All are sent again from the first one on when one of them fails: answers of earlier rounds come too late. */
  private round = 0;
  private backoff: Backoff | undefined;
  private looking = false;
  private retry: Timer | undefined;
  private lastFailure: unknown;
  private ended: VarlogError | undefined;

  /** Made by `topic.producer({ id })`. */
  constructor(
    { topic, id, epoch, logStream }: ProducerIdentity,
    context: ClientContext,
    codec: RecordCodec<unknown, In>,
  ) {
    this.topic = topic;
    this.id = id;
    this.epoch = epoch;
    this.logStream = logStream;
    this.context = context;
    this.codec = codec;
    const { lifetime } = context;
    this.forget = onAbort(lifetime, () => this.end(lifetime.reason as VarlogError));
  }

  /** Why it takes no more appends; `undefined` while it does. */
  get failure(): VarlogError | undefined {
    return this.ended;
  }

  /**
   * Appends one record, or several as one batch, as `topic.append` takes them. Resolves when the batch is durable and ordered, behind all that were
   * appended by this producer before. What is refused before it has a place in the order leaves the producer as it
   * is: `EMPTY_BATCH`, `ENTRY_TOO_LARGE`, `INVALID_ARGUMENT`, `RESOURCE_EXHAUSTED` (64 MiB wait). Anything else ends it,
   * and `outcome` says whether the batch may be in the log: `TIMEOUT` (after `timeoutMs`, by default 30,000),
   * `PRODUCER_FENCED`, `PRODUCER_FORGOTTEN`, `LOG_STREAM_NOT_FOUND` and `TOPIC_NOT_FOUND` when these were removed, `CLOSED`.
   * With `receipt` the acknowledgement tells where the time went.
   * `signal` ends the waiting only: the batch stays in its place, and is appended.
   *
   * With `expect`, the batch is taken only if that holds; one that was taken by an earlier try is acknowledged as `duplicate`,
   * whatever came after it. `CONDITION_FAILED` leaves the producer as it is where nothing was appended behind it and no try
   * before had an unknown outcome.
   */
  async append(
    records: AppendInput<In>,
    options: CallLimits & RecordAttributes & { expect?: Expectation; receipt?: boolean } = {},
  ): Promise<ProducerAck> {
    checkNames(options, PRODUCER_APPEND_NAMES, 'append of a producer');
    checkSignal(options.signal);
    const { clock } = this.context.ports;
    const timer = receiptTimer(options.receipt, clock);
    const condition = options.expect === undefined ? undefined : conditionOf(options.expect);
    const timeoutMs = checkTimeout(options.timeoutMs ?? TIMEOUT_MS);
    const { id, epoch, nextSequence: sequence } = this;
    const { recordLimits } = this.context.appender;
    const producer = { id, epoch, sequence };
    const { count, bytes } = toBatch(records, this.codec, options, recordLimits, { producer });
    options.signal?.throwIfAborted();
    if (this.ended !== undefined) throw this.refusal(this.ended);
    if (this.queueBytes + bytes.length > QUEUE_BYTES) throw tooMuch(this.queueBytes);
    this.nextSequence += count;
    return new Promise((resolve, reject) => {
      const forget = onAbort(options.signal, () => reject(options.signal?.reason));
      const item: Item = {
        number: this.nextNumber++,
        sequence,
        count,
        bytes,
        condition,
        timer,
        deadline:
          timeoutMs === Infinity
            ? undefined
            : clock.after(timeoutMs, () => this.end(this.timedOut(item, timeoutMs))),
        sent: undefined,
        uncertain: false,
        resolve: (ack) => {
          forget();
          resolve(ack);
        },
        reject: (error) => {
          forget();
          reject(error);
        },
      };
      this.queue.push(item);
      this.queueBytes += bytes.length;
      this.send();
    });
  }

  /** Ends it. Appends without an answer fail with `CLOSED`: await them before. Idempotent. */
  close(): void {
    this.end(
      new VarlogError('CLOSED', {
        what: `producer ${this.id} of topic ${this.topic} was closed`,
        next: 'await its appends before, or open it anew',
      }),
    );
  }

  /** Hands over what may be on the way, in order. */
  private send(): void {
    if (this.looking || this.ended !== undefined) return;
    const [first] = this.queue;
    if (first === undefined) return;
    const stream = this.located();
    if (stream?.state !== 'open' || stream.addresses.length === 0) {
      this.lookUp();
      return;
    }
    const link = this.context.appender.linkTo(stream.addresses[0]!);
    while (this.sent < this.queue.length) {
      const item = this.queue[this.sent]!;
      // The log stream remembers no more batches than that.
      if (item.number - first.number >= PRODUCER_LIMITS.batches) return;
      if (this.sent > 0 && this.sentBytes + item.bytes.length > IN_FLIGHT_BYTES) return;
      this.sent++;
      this.sentBytes += item.bytes.length;
      item.sent = { link, ticket: link.add(this.tryOf(item)) };
    }
  }

  private located(): LocatedLogStream | undefined {
    const topic = this.context.catalog.known(this.topic);
    return topic?.logStreams.find((it) => it.id === this.logStream);
  }

  private tryOf(item: Item): Sending {
    const { round } = this;
    return {
      topicId: this.topic,
      logStreamId: this.logStream,
      count: item.count,
      bytes: item.bytes,
      condition: item.condition,
      timer: item.timer,
      succeeded: (result) => this.succeeded(item, result),
      failed: (error, certain) => this.failed(item, round, error, certain),
    };
  }

  private succeeded(item: Item, result: AppendResult): void {
    if (!this.takeOut(item)) return;
    this.takeBack(item);
    this.backoff = undefined;
    this.lastFailure = undefined;
    const { sequence, count } = item;
    const place = { logStream: this.logStream, count, sequence, duplicate: result.duplicate };
    try {
      const ack = { glsn: glsn(result.glsn), llsn: llsn(result.llsn), ...place };
      item.resolve(item.timer ? { ...ack, receipt: item.timer.receipt(result.times) } : ack);
    } catch (error) {
      item.reject(error);
    }
    this.send();
  }

  private failed(item: Item, round: number, error: unknown, certain: boolean): void {
    item.uncertain ||= !certain;
    if (this.ended !== undefined || round !== this.round || !this.queue.includes(item)) return;
    item.sent = undefined;
    // A batch that came without those before it comes again with them.
    if (certain && !isWorthRetrying(error)) {
      if (this.isUnmet(item, error)) this.refuse(item, error as VarlogError);
      else this.end(withoutConditions(error, item.condition) ?? (error as VarlogError));
      return;
    }
    this.lastFailure = error;
    this.round++;
    for (const it of this.queue) this.takeBack(it);
    this.sent = 0;
    this.sentBytes = 0;
    this.lookUp();
  }

  /** Whether a batch certainly is not in the log because of its condition, and its number may be given to the next one. */
  private isUnmet(item: Item, error: unknown): boolean {
    const isAlone = this.queue.length === 1 && !item.uncertain;
    return isAlone && VarlogError.is(error, 'CONDITION_FAILED');
  }

  private refuse(item: Item, error: VarlogError): void {
    this.context.appender.doubtPrimaries();
    this.takeOut(item);
    this.nextSequence = item.sequence;
    item.reject(error);
  }

  /** It has its result. False: it had one before. */
  private takeOut(item: Item): boolean {
    const at = this.queue.indexOf(item);
    if (at === -1) return false;
    this.queue.splice(at, 1);
    this.queueBytes -= item.bytes.length;
    if (at < this.sent) {
      this.sent--;
      this.sentBytes -= item.bytes.length;
    }
    item.deadline?.cancel();
    return true;
  }

  /** Ends the current try of a batch: what was sent already may still take effect. */
  private takeBack(item: Item): void {
    const { sent } = item;
    if (sent === undefined) return;
    item.sent = undefined;
    if (sent.link.isWaiting(sent.ticket)) sent.link.takeBack(sent.ticket);
    else item.uncertain = true;
  }

  /** Learns where the log stream is by now, waits a little from the second time on, and sends all again. */
  private lookUp(): void {
    if (this.looking) return;
    this.looking = true;
    const { ports, catalog } = this.context;
    const waitMs = this.backoff?.nextMs() ?? 0;
    this.backoff ??= new Backoff(ports.random, RETRY_MS_MIN, RETRY_MS_MAX);
    catalog.renew().then(
      () => this.lookedUp(waitMs),
      (error: unknown) => {
        if (VarlogError.is(error, 'CLUSTER_MISMATCH')) return this.end(error);
        this.lastFailure ??= error;
        this.lookedUp(Math.max(waitMs, RETRY_MS_MAX));
      },
    );
  }

  private lookedUp(waitMs: number): void {
    if (this.ended !== undefined) return;
    const gone = this.removed();
    if (gone !== undefined) {
      this.end(gone);
      return;
    }
    const again = (): void => {
      this.looking = false;
      this.send();
    };
    if (waitMs === 0) again();
    else this.retry = this.context.ports.clock.after(waitMs, again);
  }

  /** Whether the log stream is gone for good, by the metadata just read. */
  private removed(): VarlogError | undefined {
    const { catalog } = this.context;
    if (catalog.generation === 0 || this.located() !== undefined) return undefined;
    if (catalog.known(this.topic) === undefined) return catalog.noTopic(this.topic);
    return new VarlogError('LOG_STREAM_NOT_FOUND', {
      what: `log stream ${this.logStream} of producer ${this.id} was removed from topic ${this.topic}`,
      next: 'open the producer anew: it is given another one',
      details: { logStream: this.logStream },
    });
  }

  /** It takes nothing more, and what has no answer fails. */
  private end(error: VarlogError): void {
    if (this.ended !== undefined) return;
    this.ended = error;
    this.forget();
    this.retry?.cancel();
    const { queue } = this;
    this.queue = [];
    this.queueBytes = 0;
    for (const item of queue) {
      item.deadline?.cancel();
      this.takeBack(item);
      item.reject(this.failureOf(error, item.uncertain ? 'unknown' : 'notAppended'));
    }
  }

  private refusal(error: VarlogError): VarlogError {
    return this.failureOf(error, 'notAppended');
  }

  private failureOf(error: VarlogError, outcome: 'unknown' | 'notAppended'): VarlogError {
    const { code, message: what, details } = error;
    return new VarlogError(code, { what, details, outcome, cause: error });
  }

  private timedOut({ sequence }: Item, timeoutMs: number): VarlogError {
    const cause = this.lastFailure;
    return new VarlogError('TIMEOUT', {
      what: `the append of producer ${this.id} at sequence ${sequence} was not acknowledged within ${timeoutMs} ms`,
      ...(cause === undefined ? {} : { because: reasonOf(cause), cause }),
      next: 'check with "varlog status" that its log stream is open; then open the producer anew, and read the log to see what it holds',
      details: { logStream: this.logStream, producer: this.id, epoch: this.epoch, sequence },
    });
  }
}

function tooMuch(waitingBytes: number): VarlogError {
  return new VarlogError('RESOURCE_EXHAUSTED', {
    what: `appends of ${waitingBytes} bytes wait in the producer already`,
    next: 'await appends before making more',
    outcome: 'notAppended',
    details: { waitingBytes },
  });
}
