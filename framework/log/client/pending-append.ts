import {
  Backoff,
  type Batch,
  type Glsn,
  glsn,
  type Llsn,
  type LogStreamId,
  llsn,
  onAbort,
  type Ports,
  reasonOf,
  startOf,
  type Timer,
  type TopicId,
  VarlogError,
} from '../../base/index.ts';
import type { AppendResult } from '../../wire/gen/log.ts';
import type { AppendCondition } from '../core/index.ts';
import type { AppendLink, Sending } from './append-link.ts';
import type { AppendReceipt, ReceiptTimer } from './append-receipt.ts';
import type { Catalog, LocatedLogStream } from './catalog.ts';
import { withoutConditions } from './expectation.ts';

const RETRY_MS_MIN = 20;
/** A lost primary is replaced within half a second, mostly; all appends of a client ask together. */
const RETRY_MS_MAX = 100;

/** Where an append ended up. The batch lies side by side from there on. */
export interface AppendAck {
  /** Position of the first record in the topic. */
  readonly glsn: Glsn;
  /** Position of the first record in its log stream. */
  readonly llsn: Llsn;
  readonly logStream: LogStreamId;
  /** Number of records. */
  readonly count: number;
  /** Where the time went, if that was asked for. */
  readonly receipt?: AppendReceipt;
}

/** What appends have in common: where they can go, and who counts them. */
interface Dispatcher {
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  readonly catalog: Catalog;
  /** Where an append can go now; `undefined`: nowhere that is known. */
  choose(topicId: TopicId, only: LogStreamId | undefined): LocatedLogStream | undefined;
  /** Passes over a log stream for a while. */
  avoid(id: LogStreamId): void;
  /** A condition did not hold, at a primary that may have been replaced. */
  doubtPrimaries(): void;
  linkTo(address: string): AppendLink;
  /** Called once for each append, when it has its result. */
  settled(pending: PendingAppend): void;
}

/** What is to be appended, where, and within which limits. */
export interface AskedAppend {
  readonly topicId: TopicId;
  readonly batch: Batch;
  /** Default: the writable ones of the topic in turn. */
  readonly logStream?: LogStreamId | undefined;
  readonly condition?: AppendCondition | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Once it is aborted, the append is not tried again: it ends as its last try does. */
  readonly tries?: AbortSignal | undefined;
  readonly timeoutMs: number;
  /** When that is over, where it began before. */
  readonly until?: number | undefined;
  readonly timer?: ReceiptTimer | undefined;
}

/** Who waits for the result. */
interface Settle {
  resolve(ack: AppendAck): void;
  reject(error: unknown): void;
}

/**
 * One append from the call to its result. It is tried again while it is certain that no try before took effect;
 * once that is not certain any more, it fails with `outcome: 'unknown'`.
 */
export class PendingAppend implements Sending {
  readonly topicId: TopicId;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly condition: AppendCondition | undefined;
  readonly timer: ReceiptTimer | undefined;
  /** The log stream of the current try. */
  logStreamId: LogStreamId = 0;
  /** Among those that its appender remembers. */
  key = 0;
  /** Whether it is within the limit of bytes in flight. */
  admitted = false;
  private readonly appender: Dispatcher;
  private readonly asked: AskedAppend;
  private readonly settle: Settle;
  private readonly forget: () => void;
  private readonly deadline: Timer | undefined;
  private retry: Timer | undefined;
  private backoff: Backoff | undefined;
  private link: AppendLink | undefined;
  /** Identifies this append to {@link link}. */
  private ticket = 0;
  private done = false;
  private lastFailure: unknown;

  constructor(appender: Dispatcher, asked: AskedAppend, settle: Settle) {
    this.appender = appender;
    this.asked = asked;
    this.settle = settle;
    this.topicId = asked.topicId;
    this.count = asked.batch.count;
    this.bytes = asked.batch.bytes;
    this.condition = asked.condition;
    this.timer = asked.timer;
    this.forget = onAbort(asked.signal, () => this.aborted());
    if (asked.timeoutMs === Infinity) return;
    const { clock } = appender.ports;
    const leftMs = asked.until === undefined ? asked.timeoutMs : asked.until - clock.now();
    this.deadline = clock.after(leftMs, () => this.outOfTime());
  }

  get size(): number {
    return this.bytes.length;
  }

  /** Sends it, once it is admitted. */
  start(): void {
    if (!this.admitted || this.done) return;
    if (this.asked.tries?.aborted) {
      const error = this.lastFailure ?? this.asked.tries.reason;
      if (this.finish()) this.settle.reject(withOutcome(error));
      return;
    }
    const stream = this.appender.choose(this.topicId, this.asked.logStream);
    if (stream === undefined) {
      this.lookUp();
      return;
    }
    this.logStreamId = stream.id;
    this.link = this.appender.linkTo(stream.addresses[0]!);
    this.ticket = this.link.add(this);
  }

  succeeded(result: AppendResult): void {
    const { logStreamId: logStream, count, timer } = this;
    try {
      const ack = { glsn: glsn(result.glsn), llsn: llsn(result.llsn), logStream, count };
      if (!this.finish()) return;
      this.settle.resolve(timer ? { ...ack, receipt: timer.receipt(result.times) } : ack);
    } catch (error) {
      if (this.finish()) this.settle.reject(error);
    }
  }

  failed(error: unknown, certain: boolean): void {
    if (this.done) return;
    this.link = undefined;
    if (!certain) {
      if (this.finish()) this.settle.reject(unknownOutcome(this.logStreamId, error));
      return;
    }
    this.lastFailure = error;
    if (!isWorthRetrying(error)) {
      if (VarlogError.is(error, 'CONDITION_FAILED')) this.appender.doubtPrimaries();
      const refusal = withoutConditions(error, this.condition) ?? error;
      if (this.finish())
        this.settle.reject(withOutcome(this.isTooNew(error) ? tooNew(error) : refusal));
      return;
    }
    this.appender.avoid(this.logStreamId);
    this.lookUp();
  }

  /** Ends it because the client is closed. */
  abandon(error: VarlogError): void {
    const { code, message: what } = error;
    const outcome = this.isSent() ? 'unknown' : 'notAppended';
    if (this.finish()) this.settle.reject(new VarlogError(code, { what, outcome }));
  }

  /** Learns where the log streams are by now, waits a little from the second time on, and tries again. */
  private lookUp(): void {
    const waitMs = this.backoff?.nextMs() ?? 0;
    this.backoff ??= new Backoff(this.appender.ports.random, RETRY_MS_MIN, RETRY_MS_MAX);
    this.appender.catalog.renew().then(
      () => this.tryAgain(waitMs),
      (error: unknown) => {
        if (VarlogError.is(error, 'CLUSTER_MISMATCH')) {
          if (this.finish()) this.settle.reject(withOutcome(error));
          return;
        }
        this.lastFailure ??= error;
        this.tryAgain(Math.max(waitMs, 100));
      },
    );
  }

  private tryAgain(waitMs: number): void {
    if (this.done) return;
    const refusal = this.refusal();
    if (refusal !== undefined) {
      if (this.finish()) this.settle.reject(refusal);
    } else if (waitMs === 0) {
      this.start();
    } else {
      this.retry = this.appender.ports.clock.after(waitMs, () => this.start());
    }
  }

  /** Why no log stream can ever take it, by the metadata just read. */
  private refusal(): VarlogError | undefined {
    const { catalog } = this.appender;
    const topic = catalog.known(this.topicId);
    const only = this.asked.logStream;
    const outcome = 'notAppended';
    if (catalog.generation === 0) return undefined;
    if (topic === undefined) return catalog.noTopic(this.topicId);
    if (only === undefined || topic.logStreams.some((it) => it.id === only)) return undefined;
    return new VarlogError('LOG_STREAM_NOT_FOUND', {
      what: `topic ${this.topicId} has no log stream ${only}`,
      because: `it has: ${topic.logStreams.map((it) => it.id).join(', ')}`,
      next: 'choose one of these, or leave logStream out',
      outcome,
    });
  }

  private outOfTime(): void {
    const { timeoutMs } = this.asked;
    const outcome = this.isSent() ? 'unknown' : 'notAppended';
    // It may not have been tried at all, because nobody said where its log streams are.
    const cause = this.lastFailure ?? this.appender.catalog.trouble;
    const because = cause === undefined ? {} : { because: reasonOf(cause) };
    const what = `an append to topic ${this.topicId} was not acknowledged within ${timeoutMs} ms`;
    const next =
      outcome === 'unknown'
        ? 'read the log to see whether it is there before appending it again'
        : 'check with "varlog status" that its log streams are open, then append it again';
    if (!this.finish()) return;
    this.settle.reject(new VarlogError('TIMEOUT', { what, ...because, next, outcome, cause }));
  }

  private aborted(): void {
    if (this.finish()) this.settle.reject(this.asked.signal?.reason);
  }

  /** A node from before batches had headers takes one for records that do not add up. */
  private isTooNew(error: unknown): boolean {
    if (startOf(this) === 0 || !VarlogError.is(error, 'INVALID_ARGUMENT')) return false;
    return error.message.includes('does not hold the');
  }

  private isSent(): boolean {
    return this.link !== undefined && !this.link.isWaiting(this.ticket);
  }

  /** Lets go of everything; `false`: it had its result before. */
  private finish(): boolean {
    if (this.done) return false;
    this.done = true;
    this.deadline?.cancel();
    this.retry?.cancel();
    this.forget();
    this.link?.takeBack(this.ticket);
    this.appender.settled(this);
    return true;
  }
}

/** Refusals that name the batch itself, or that another try would meet again. */
export function isWorthRetrying(error: unknown): boolean {
  if (!VarlogError.is(error)) return false;
  // A storage node may not have heard of a new log stream, or of one that came back.
  if (error.code === 'LOG_STREAM_NOT_FOUND' || error.code === 'TOPIC_NOT_FOUND') return true;
  // The metadata repository knows whether it is the node or the cluster that changed.
  if (error.code === 'CLUSTER_MISMATCH') return true;
  return error.retryable || error.code === 'CLOSED' || error.code === 'DISK_FAILED';
}

function unknownOutcome(logStreamId: LogStreamId, cause: unknown): VarlogError {
  return new VarlogError('APPEND_UNKNOWN', {
    what: `whether log stream ${logStreamId} took the batch is not known`,
    because: reasonOf(cause),
    next: 'it may be in the log, once: read the log to see, or append commands that can be told apart',
    outcome: 'unknown',
    details: { logStream: logStreamId },
    cause,
  });
}

function tooNew(cause: unknown): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: 'a storage node does not take records with a key or headers',
    because: 'it runs an older version',
    next: 'upgrade all storage nodes, then append it again',
    outcome: 'notAppended',
    cause,
  });
}

/** The same error, of an append that certainly did not take effect. */
export function withOutcome(error: unknown): unknown {
  if (!VarlogError.is(error) || error.outcome === 'notAppended') return error;
  const { code, message: what, details } = error;
  return new VarlogError(code, { what, details, outcome: 'notAppended', cause: error });
}
