import {
  checkNames,
  checkSignal,
  checkText,
  glsn,
  type LogStreamId,
  type OrderedLog,
  type OrderedLogSource,
  type TopicId,
  unlessAborted,
} from '../../base/index.ts';
import { HoldRequest, Ordering, TailRequest } from '../../wire/gen/log.ts';
import {
  type CheckpointStore,
  Consumer,
  type ConsumerOptions,
  checkedOptions,
  type RecordHandler,
  type TransactionalCheckpointStore,
  type WithCheckpoint,
} from '../consumer/index.ts';
import type { Retention } from '../core/index.ts';
import { LOG_TIMES } from '../timing.ts';
import { type AppendInput, toBatch } from './append-batch.ts';
import { receiptTimer } from './append-receipt.ts';
import {
  type AppendPart,
  type AtomicAck,
  appendAtomically,
  refuseExpectations,
  toBatches,
} from './atomic-append.ts';
import { type CallLimits, checkCall, checkTimeout, inSteps } from './call-limit.ts';
import { describe, type TopicDescription } from './catalog.ts';
import { checkWhole } from './checked-option.ts';
import type { ClientContext } from './client-context.ts';
import { consumerBegin } from './consumer-begin.ts';
import { type Decoding, decodingOf } from './decoding.ts';
import { EntryObservable, type FlowLimits } from './entry-observable.ts';
import { conditionOf, logStreamOf } from './expectation.ts';
import { type ExportOptions, TopicExport } from './export-topic.ts';
import { type FenceOptions, fenceTopic } from './fence.ts';
import { checkReading } from './freshness.ts';
import { makeLogStream } from './make-log-streams.ts';
import { openProducer } from './open-producer.ts';
import {
  ADD_LOG_STREAM_NAMES,
  APPEND_NAMES,
  ATOMIC_NAMES,
  ATOMIC_PART_NAMES,
  EXPORT_NAMES,
  READ_FLOW_NAMES,
  READ_NAMES,
  TAIL_FLOW_NAMES,
  TAIL_NAMES,
} from './option-names.ts';
import { type AppendAck, withOutcome } from './pending-append.ts';
import { type AtTime, beginOf, checkGlsn, checkRange, type From } from './position-option.ts';
import type { TopicProducer } from './producer.ts';
import { bytes, type RecordCodec, type RecordInput } from './record-codec.ts';
import type {
  AppendOptions,
  ReadOptions,
  RecordLog,
  TailOptions,
  TopicOptions,
} from './record-log.ts';
import { checkRetention } from './retention-option.ts';
import { Subscription, type SubscriptionRange, type SubscriptionSource } from './subscription.ts';
import { TopicConsumers } from './topic-consumers.ts';
import { TopicLog } from './topic-log.ts';
import { askKeepers, type LogStreamFence, type TopicUsage, topicUsage } from './topic-usage.ts';
import { trimTopic } from './trim-topic.ts';

/** Somebody who needs the records after `position`, so that they are not trimmed without force. */
export interface TopicHold {
  readonly holder: string;
  readonly position: number;
  /** It is the consumer of that name: see {@link Topic.process}. */
  readonly isConsumer?: true;
}

/**
 * One topic of a cluster: a log in which every record has its place. A handle, as cheap as its id. `T` is what its readers
 * get as `entry.value`, `In` what is appended: bytes and text where it was given no codec.
 */
export class Topic<T = Uint8Array, In = RecordInput> implements OrderedLogSource, RecordLog<T, In> {
  readonly id: TopicId;
  private readonly context: ClientContext;
  private readonly codec: RecordCodec<unknown, In>;
  private readonly decoding: Decoding<T> | undefined;

  /** Made by `varlog.topic(id)`. */
  constructor(id: TopicId, context: ClientContext, options?: TopicOptions<T, In>) {
    checkWhole(id, 'the id of a topic');
    this.id = id;
    this.context = context;
    this.codec = options?.codec ?? (bytes as RecordCodec<unknown, never>);
    this.decoding = decodingOf(options);
  }

  /**
   * Appends one record, or several as one batch: all of them or none, side by side. Where a value is an array itself, it
   * is given in an array. Key and headers travel with the record, to all who read it with this client. Resolves
   * when the batch is durable and ordered; an append that begins after that gets a larger GLSN. Waits while
   * too much is under way.
   *
   * What certainly did not take effect is tried again, on another log stream if none was chosen, until the time
   * is over. Otherwise it rejects, and `outcome` says whether the batch may be in the log: `EMPTY_BATCH`,
   * `ENTRY_TOO_LARGE`, `INVALID_ARGUMENT`, `TOPIC_NOT_FOUND`, `LOG_STREAM_NOT_FOUND`, `RESOURCE_EXHAUSTED`
   * (`notAppended`), `APPEND_UNKNOWN` (`unknown`), `TIMEOUT` and `CLOSED` (either). With `expect`, it takes effect only if
   * that holds, and rejects with `CONDITION_FAILED` (`notAppended`) otherwise: see {@link Expectation}. One that builds on
   * another one which is still on its way belongs to a producer: there it fails with it.
   */
  append(records: AppendInput<In>, options: AppendOptions = {}): Promise<AppendAck> {
    const { tracing } = this.context.ports;
    if (tracing?.listens('append') !== true) return this.appendNow(records, options);
    const work = () => this.appendNow(records, { ...options, receipt: options.receipt || true });
    return tracing.trace('append', { topic: this.id }, work);
  }

  private async appendNow(records: AppendInput<In>, options: AppendOptions): Promise<AppendAck> {
    checkNames(options, APPEND_NAMES, 'append');
    const { timeoutMs = LOG_TIMES.callTimeoutMs, expect, logStream, signal } = options;
    if (logStream !== undefined) checkWhole(logStream, 'logStream');
    checkSignal(signal);
    const { appender, catalog, ports } = this.context;
    const timer = receiptTimer(options.receipt, ports.clock);
    const batch = toBatch(records, this.codec, options, appender.recordLimits);
    const asked = { topicId: this.id, batch, logStream, signal, timeoutMs, timer };
    checkTimeout(timeoutMs);
    if (expect === undefined) return appender.append(asked);
    const until = ports.clock.now() + timeoutMs;
    const condition = conditionOf(expect);
    const limits = { ...options, timeoutMs };
    const only = await logStreamOf(catalog, this.id, condition, limits).catch((error) => {
      throw withOutcome(error);
    });
    return appender.append({ ...asked, until, logStream: only, condition });
  }

  /**
   * Takes over: gives the topic, or one log stream of it, a higher fencing token, and resolves with that. From then on no append that
   * carries an older one (`expect: { fence }`) is acknowledged any more or appears later, whatever becomes of primaries and
   * connections; what was taken before stands before all that is appended afterwards. Appends that carry no token are not concerned:
   * whoever is to be fenced off has to carry one. Log streams that are added to the topic begin with its token.
   *
   * The same token may be set again, so that after a failure the call can be repeated. Rejects with `CONDITION_FAILED` when a
   * higher one was set, `TIMEOUT` while an open log stream has no primary that answers (it may take effect then),
   * `TOPIC_NOT_FOUND`, `LOG_STREAM_NOT_FOUND`, `INVALID_ARGUMENT`, and `FAILED_PRECONDITION` or `UNIMPLEMENTED` where members
   * of the metadata repository or storage nodes run a version that does not know this.
   */
  fence(options: FenceOptions = {}): Promise<number> {
    return fenceTopic(this.context, this.id, options);
  }

  /**
   * Appends to several log streams at once: all parts or none. They are ordered by one decision, so whoever sees the tail of
   * the topic behind one of them sees it behind all. Each part is a batch; what is ordered at the same time may lie
   * between two of them. Resolves with an acknowledgement for each part, in their order.
   *
   * It waits until all of the log streams take appends, and is tried again like {@link append}, until its time is over. As
   * soon as one part certainly is not in the log none is, and it rejects with what was the matter with that one. Beside
   * what {@link append} rejects with: `INVALID_ARGUMENT` for a log stream with two parts, for more than 64 of them and for `expect`,
   * `ENTRY_TOO_LARGE` for parts that are larger together than one batch may be, `FAILED_PRECONDITION` while a member or a
   * storage node is of a version without this (all `notAppended`). With `APPEND_UNKNOWN`, `details.appended` has the places
   * of some parts where it is known that all of them are in the log.
   */
  async appendAtomically(
    parts: readonly AppendPart<In>[],
    options: CallLimits = {},
  ): Promise<AtomicAck> {
    refuseExpectations([options, ...parts]);
    checkNames(options, ATOMIC_NAMES, 'appendAtomically');
    for (const it of parts) checkNames(it, ATOMIC_PART_NAMES, 'a part of appendAtomically');
    const timeoutMs = checkTimeout(options.timeoutMs ?? LOG_TIMES.callTimeoutMs);
    checkSignal(options.signal);
    const { context, codec } = this;
    const { recordLimits, inFlightMax } = context.appender;
    const batchBytes = Math.min(recordLimits.batchBytes, inFlightMax);
    const limits = { ...recordLimits, batchBytes };
    const frame = () => {
      const batches = toBatches(parts, codec, limits, context.ports.random);
      return parts.map(({ logStream }, i) => ({ logStream, batch: batches[i]! }));
    };
    return appendAtomically(context, this.id, frame, { ...options, timeoutMs });
  }

  /**
   * Opens a producer, which appends exactly once: see {@link TopicProducer}. `id`, a whole number from 0 below 2^53, is
   * chosen by its user. One of the same id that was opened before is fenced off as soon as this one has appended, so each
   * that lives at the same time needs an id of its own. Rejects with `TOPIC_NOT_FOUND`, and with `FAILED_PRECONDITION`
   * while a member or a storage node is of a version without producers, or the topic has no log stream.
   */
  producer(options: CallLimits & { id: number }): Promise<TopicProducer<In>> {
    return openProducer(this.context, this.id, this.codec, options);
  }

  /**
   * The records from `from` to `to`, both included; ends. Linearizable, unless `atLeast` or `consistency` says that less
   * is enough: then any replica serves it, and positions that are named are waited for. Throws `INVALID_ARGUMENT` or
   * `POSITION_OUT_OF_RANGE`; the iteration rejects with `TRIMMED`, `BEYOND_TAIL`, `TOPIC_NOT_FOUND`, `DECODE_FAILED`, or
   * `TIMEOUT` when no replica has come so far, or when none that should have the next record serves it, with the reason.
   */
  read(options: ReadOptions = {}): Subscription<T> {
    checkNames(options, READ_NAMES, 'read');
    const { from = 'start', to = 'tail', ...rest } = options;
    checkRange(from, options.to);
    return this.subscribe({ ...rest, from, to });
  }

  /** Like {@link read}, as an Observable; it completes. */
  read$(options: ReadOptions & FlowLimits = {}): EntryObservable<T> {
    checkNames(options, READ_FLOW_NAMES, 'read$');
    const { maxInFlight, maxInFlightBytes, ...range } = options;
    checkReading(range);
    return new EntryObservable(() => this.read(range), options);
  }

  /**
   * The records from `from` on, and all that will come; ends quietly when it, or the client, is closed. Rejects like
   * {@link read}: also with `TOPIC_NOT_FOUND` when the topic is deleted, because nobody asked for that end here.
   */
  tail(options: TailOptions = {}): Subscription<T> {
    checkNames(options, TAIL_NAMES, 'tail');
    const { from = 'end', ...rest } = options;
    return this.subscribe({ ...rest, from, to: Infinity });
  }

  /**
   * Like {@link tail}, as an Observable; it completes when `signal` is aborted or the client is closed, and has an error
   * when the topic is deleted. Use `handle`
   * for what takes time. After an error, go on after the last record that was dealt with: `retry()` would begin
   * at `from` again.
   */
  tail$(options: TailOptions & FlowLimits = {}): EntryObservable<T> {
    checkNames(options, TAIL_FLOW_NAMES, 'tail$');
    const { maxInFlight, maxInFlightBytes, ...range } = options;
    checkReading({ from: 'end', ...range });
    return new EntryObservable(() => this.tail(range), options);
  }

  /**
   * Starts a consumer: each record is given to `handler`, from where the checkpoint of its name is. See {@link Consumer}.
   * Its status says what it does; `done` rejects when it stops: with `HANDLER_FAILED`, `CONSUMER_FENCED`, `TRIMMED` where
   * records that it has not done are gone, `BEYOND_TAIL` and `LOG_MISMATCH` for a checkpoint that is of elsewhere, `NOT_FOUND` when
   * the consumer was removed, `UNIMPLEMENTED` while members are of a version without consumers; it waits while they have not agreed on a feature level yet. Throws `INVALID_ARGUMENT`,
   * `POSITION_OUT_OF_RANGE` and `CLUSTER_MISMATCH` for what it is given.
   *
   * ```ts
   * const billing = topic.process({ name: 'billing', concurrency: 8, orderBy: 'key' }, async (entry) => {
   *   await bill(entry.value);
   * });
   * await billing.close();
   * ```
   */
  process<Transaction>(
    options: ConsumerOptions<T> & WithCheckpoint<TransactionalCheckpointStore<Transaction>>,
    handler: RecordHandler<T, Transaction>,
  ): Consumer;
  process(
    options: ConsumerOptions<T> & Partial<WithCheckpoint<CheckpointStore>>,
    handler: RecordHandler<T>,
  ): Consumer;
  process(
    options: ConsumerOptions<T> & Partial<WithCheckpoint<CheckpointStore>>,
    handler: RecordHandler<T, never>,
  ): Consumer {
    const { context, id, decoding } = this;
    const { ports, channels, lifetime } = context;
    lifetime.throwIfAborted();
    const onDecodeError = decoding?.onDecodeError ?? 'error';
    // A record that the codec does not take is a matter of the consumer, and its place is counted.
    const all = decoding && { ...decoding, onDecodeError: 'pass' as const };
    const source = {
      ports,
      registry: this.consumers.registry,
      onDecodeError,
      begin: (from: unknown) => consumerBegin(from, channels.cluster!, id),
      since: (from: AtTime, signal: AbortSignal) => this.since(from, signal),
      tail: (from: number, signal: AbortSignal) =>
        this.subscribe({ from, to: Infinity, signal }, all),
      read: (glsn: number, signal: AbortSignal) =>
        this.subscribe({ from: glsn, to: glsn, signal }, all),
    };
    const checked = checkedOptions(options, handler);
    return new Consumer(source, checked, handler as RecordHandler<unknown, unknown>);
  }

  /** The consumers of the topic, running or not: how far they are, what they have parked. */
  get consumers(): TopicConsumers {
    const { context, id: topicId, identity: log } = this;
    const since = (from: AtTime, signal: AbortSignal) => this.since(from, signal);
    return new TopicConsumers(context, { topicId, log, since });
  }

  /** The position of the first record since a time. */
  private async since(from: AtTime, signal: AbortSignal): Promise<number> {
    await using search = this.subscribe({ from, to: Infinity, signal });
    return (await unlessAborted(search.ready(), signal)).start;
  }

  /** The first GLSN that was not trimmed and the last one there is (0: none), as of now (linearizable). */
  async watermarks(limits: CallLimits = {}): Promise<{ first: number; last: number }> {
    checkCall(limits, 'watermarks');
    const request = TailRequest.create({ topicId: this.id });
    const what = `asking for the tail of topic ${this.id}`;
    const { repository } = this.context;
    const plan = { ...limits, what, leaderFirst: true };
    const { glsn, firstGlsn } = await repository.call(Ordering.Tail, request, plan);
    return { first: Math.max(1, firstGlsn), last: glsn };
  }

  /**
   * Removes all records up to and including `glsn`, for good. `BEYOND_TAIL` when there is no such record yet,
   * `FAILED_PRECONDITION` when somebody {@link hold}s one of them. `force` removes them all the same: such a holder
   * can never catch up again.
   */
  trim(glsn: number, options: CallLimits & { force?: boolean } = {}): Promise<void> {
    return trimTopic(this.context, this.id, glsn, options);
  }

  /**
   * Keeps the records after `position` (0: all) from being trimmed without force, until `holder` moves its hold by
   * another call, or {@link release}s it. Whoever reads a topic and remembers how far it is calls this first with what
   * it remembers, and then now and then, each time when its own new position is safe. Rejects with `TRIMMED` when some
   * of them are gone, `BEYOND_TAIL`, `INVALID_ARGUMENT`, and `FAILED_PRECONDITION` beyond 1,000 holders.
   */
  async hold(holder: string, position: number, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'hold');
    checkText(holder, 'holder');
    const request = HoldRequest.create({ topicId: this.id, holder, position: glsn(position) });
    const what = `holding records of topic ${this.id}`;
    await this.context.repository.call(Ordering.Hold, request, { ...limits, what });
  }

  /** `holder` needs no records any more. `NOT_FOUND` when it holds none. */
  async release(holder: string, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'release');
    checkText(holder, 'holder');
    const request = HoldRequest.create({ topicId: this.id, holder, release: true });
    const plan = { what: `releasing a hold on topic ${this.id}`, idempotent: false };
    await this.context.repository.call(Ordering.Hold, request, { ...limits, ...plan });
  }

  /** The log streams, their replicas, who holds records, how much is to be kept, and fencing tokens, as of now. */
  async describe(limits: CallLimits = {}): Promise<
    TopicDescription & {
      /** The fencing token of the topic (0: never fenced), and of log streams those that have another one. */
      readonly fence: number;
      readonly fences: readonly LogStreamFence[];
      readonly holds: readonly TopicHold[];
      /** See {@link setRetention}; without limits, all is kept. */
      readonly retention: Retention;
    }
  > {
    checkCall(limits, 'describe');
    const { catalog, ports } = this.context;
    const what = `describing topic ${this.id}`;
    return inSteps(ports.clock, { ...limits, what }, async (own) => {
      await catalog.renew(own);
      const topic = describe(await catalog.topic(this.id, own));
      return { ...topic, ...(await askKeepers(this.context, this.id, own)) };
    });
  }

  /**
   * How much of the topic is kept from now on, in place of what was said before: `{}` keeps all. What goes beyond a
   * limit is trimmed within some seconds, as far as nobody {@link hold}s it, in whole files: each log stream keeps up
   * to 16 MiB more, and as long. Rejects with `TOPIC_NOT_FOUND`, `INVALID_ARGUMENT`, and `FAILED_PRECONDITION` or
   * `UNIMPLEMENTED` where members of the metadata repository run a version that does not know this.
   */
  async setRetention(retention: Retention, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'setRetention');
    checkRetention(retention);
    const what = `setting the retention of topic ${this.id}`;
    const command = { kind: 'setRetention', topicId: this.id, retention } as const;
    await this.context.repository.command(command, { ...limits, what });
  }

  /** How many bytes the topic has, and who keeps them. Some replicas are asked; nothing changes. */
  async usage(limits: CallLimits = {}): Promise<TopicUsage> {
    checkCall(limits, 'usage');
    const what = `asking how much topic ${this.id} has`;
    return inSteps(this.context.ports.clock, { ...limits, what }, (own) =>
      topicUsage(this.context, this.id, () => this.watermarks(own), own),
    );
  }

  /**
   * The topic as the bytes of a file, from `from` to `to`: iterate over it to its end and keep what comes.
   * {@link Varlog.importTopic} makes a topic of it.
   */
  export(options: ExportOptions = {}): TopicExport {
    checkNames(options, EXPORT_NAMES, 'export');
    const { from, to, signal } = options;
    checkSignal(signal);
    if (to !== undefined) checkGlsn(to, 'to');
    if (from !== undefined) {
      checkGlsn(from, 'from');
      checkRange(from, to);
    }
    return new TopicExport(this, options);
  }

  /** Adds a log stream: appends scale with their number. Resolves with its id. */
  async addLogStream(
    options: CallLimits & { replicationFactor?: number } = {},
  ): Promise<LogStreamId> {
    const { catalog, ports } = this.context;
    checkNames(options, ADD_LOG_STREAM_NAMES, 'addLogStream');
    const { replicationFactor, ...limits } = options;
    const what = `adding a log stream to topic ${this.id}`;
    return inSteps(ports.clock, { ...limits, what }, async (own) => {
      const placed = replicationFactor === undefined ? {} : { replicationFactor };
      const id = await makeLogStream(this.context, this.id, { ...own, ...placed });
      await catalog.refresh(own);
      return id;
    });
  }

  /**
   * How many replicas each log stream of the topic is to have, 1 to 7. Resolves when that is noted: replicas are made when
   * there are storage nodes for them, while appends go on, and removed where there are too many. Rejects with
   * `TOPIC_NOT_FOUND` or `INVALID_ARGUMENT`, and with `FAILED_PRECONDITION` or `UNIMPLEMENTED` where members of the metadata
   * repository or storage nodes run a version that does not know this.
   */
  async setReplicationFactor(replicationFactor: number, limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'setReplicationFactor');
    checkWhole(replicationFactor, 'replicationFactor');
    const command = { kind: 'setReplicationFactor', topicId: this.id, replicationFactor } as const;
    const what = `giving topic ${this.id} ${replicationFactor} replicas`;
    await this.context.repository.command(command, { ...limits, what });
  }

  /** Which topic this is, of all that were ever made: of this id in this cluster. */
  get identity(): string {
    return `topic ${this.id} of cluster ${this.context.channels.cluster}`;
  }

  /** The topic as a log for replicated state machines: `startReplica({ log: topic })` asks for it. */
  asOrderedLog(): OrderedLog {
    return new TopicLog(new Topic(this.id, this.context));
  }

  private subscribe(
    { from, ...range }: Omit<SubscriptionRange, 'from'> & { from: From },
    decoding: Decoding<T> | undefined = this.decoding,
  ): Subscription<T> {
    const { ports, channels, catalog, lifetime } = this.context;
    lifetime.throwIfAborted();
    const begin = beginOf(from, channels.cluster!, this.id);
    const source: SubscriptionSource = {
      ports,
      channels,
      catalog,
      lifetime,
      topicId: this.id,
      extent: (limits) => this.watermarks(limits),
    };
    return new Subscription<T>(source, { ...range, from: begin }, decoding);
  }
}
