import {
  attributesOf,
  type Batch,
  checkLimits,
  checkNames,
  decodeBatch,
  encodeBatch,
  firstAbort,
  glsn,
  type Headers,
  type LogCallOptions,
  type LogEntry,
  llsn,
  onAbort,
  type Ports,
  type Producer,
  recordLimits,
} from '../base/index.ts';
import { type AppendInput, toBatch } from '../log/client/append-batch.ts';
import { receiptTimer } from '../log/client/append-receipt.ts';
import { refuseExpectations, toBatches } from '../log/client/atomic-append.ts';
import { withinLimits } from '../log/client/call-limit.ts';
import { consumerBegin } from '../log/client/consumer-begin.ts';
import { type Decoding, decodeEntry, decodingOf } from '../log/client/decoding.ts';
import { checkToken, conditionOf } from '../log/client/expectation.ts';
import { checkReading, leastPosition } from '../log/client/freshness.ts';
import {
  type AppendAck,
  type AppendOptions,
  type AppendPart,
  type AtomicAck,
  bytes,
  type CallLimits,
  type CheckpointStore,
  type ConsumerOptions,
  type Entry,
  EntryBatch,
  EntryObservable,
  type FenceOptions,
  type FlowLimits,
  type From,
  type ReadOptions,
  type RecordCodec,
  type RecordHandler,
  type RecordLog,
  type TailOptions,
  type TopicOptions,
  type WithCheckpoint,
} from '../log/client/index.ts';
import { trimmed } from '../log/client/merged-reader.ts';
import { checkedProducer } from '../log/client/open-producer.ts';
import {
  APPEND_NAMES,
  ATOMIC_NAMES,
  ATOMIC_PART_NAMES,
  FENCE_NAMES,
  READ_NAMES,
  TAIL_FLOW_NAMES,
  TAIL_NAMES,
} from '../log/client/option-names.ts';
import { type AtTime, beginOf, isAtTime, resolveRange } from '../log/client/position-option.ts';
import { Consumer, type ConsumerRegistry, checkedOptions } from '../log/consumer/index.ts';
import type { AppendCondition } from '../log/core/index.ts';
import type { AppendFault } from './append-fault.ts';
import { LOG_STREAM, type MemoryBatch } from './memory-batch.ts';
import { MemoryProducer, type TakeOnce } from './memory-producer.ts';
import { MemorySubscription } from './memory-subscription.ts';

const TOPIC = 1;
const TIMEOUT_MS = 10_000;

/** A record as a log in memory keeps it. */
export interface MemoryEntry extends LogEntry {
  readonly timestamp: number;
  readonly headers: Headers | undefined;
  readonly logStream: number;
  readonly llsn: number;
}

/** What is below {@link MemoryRecords}. */
export interface RecordStore {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly connected: boolean;
  /** Throws `UNAVAILABLE` while nobody reaches it. */
  checkConnected(): void;
  /** What a reading waits for before it looks at the log. */
  arrive(signal: AbortSignal | undefined): Promise<void>;
  /**
   * As `OrderedLog.append`: all batches or none. Resolves with where each of them begins. It takes its fault from `faults`,
   * where there are some of its own.
   */
  append(
    batches: readonly MemoryBatch[],
    options: LogCallOptions,
    faults?: AppendFault[],
  ): Promise<{ glsn: number; llsn: number }[]>;
  /** What a new producer is and does, whatever its id. */
  openProducer(): Promise<{
    readonly epoch: number;
    takeOnce(batch: MemoryBatch, producer: Producer, faults?: AppendFault[]): ReturnType<TakeOnce>;
  }>;
  /** As `Topic.fence`. */
  fence(token: number | undefined): Promise<number>;
  entriesFrom(position: number): readonly MemoryEntry[];
  /** Resolves when something was appended, or `signal` is aborted. */
  changed(signal: AbortSignal | undefined): Promise<void>;
  /** Shared by all that look at the log. */
  readonly consumers: ConsumerRegistry;
  /** The position of the first record since a time. */
  since(from: AtTime): number;
  readonly ports: Pick<Ports, 'clock' | 'random'>;
}

/** What belongs to the beginning of a reading. */
interface Beginning {
  /** Waits for what has to be there. */
  readonly reached?: () => Promise<void>;
  /** Told of the first position. */
  readonly begun?: (at: number) => void;
}

/** The records of a log in memory, as those of a topic that has each log stream which is named. */
export class MemoryRecords<T, In> implements RecordLog<T, In> {
  private readonly store: RecordStore;
  private readonly codec: RecordCodec<unknown, In>;
  private readonly decoding: Decoding<T> | undefined;

  constructor(store: RecordStore, options: TopicOptions<T, In> | undefined) {
    this.store = store;
    this.decoding = decodingOf(options);
    this.codec = options?.codec ?? (bytes as RecordCodec<unknown, never>);
  }

  async append(records: AppendInput<In>, options: AppendOptions = {}): Promise<AppendAck> {
    checkNames(options, APPEND_NAMES, 'append');
    checkLimits(options);
    const timer = receiptTimer(options.receipt, this.store.ports.clock);
    const { logStream = LOG_STREAM } = options;
    const batch = toBatch(records, this.codec, options, recordLimits());
    const { expect } = options;
    const condition = expect === undefined ? undefined : conditionOf(expect);
    const [ack] = await this.appendAll([{ logStream, batch, condition }], options);
    return timer === undefined ? ack! : { ...ack!, receipt: timer.receipt(null) };
  }

  async appendAtomically(
    parts: readonly AppendPart<In>[],
    options: CallLimits = {},
  ): Promise<AtomicAck> {
    checkNames(options, ATOMIC_NAMES, 'appendAtomically');
    for (const it of parts) checkNames(it, ATOMIC_PART_NAMES, 'a part of appendAtomically');
    refuseExpectations([options, ...parts]);
    // Nobody else sees the id.
    const batches = toBatches(parts, this.codec, recordLimits(), { below: () => 0 });
    return this.appendAll(
      parts.map(({ logStream }, i) => ({ logStream, batch: batches[i]! })),
      options,
    );
  }

  private async appendAll(
    parts: readonly {
      readonly logStream: number;
      readonly batch: Batch;
      readonly condition?: AppendCondition | undefined;
    }[],
    options: LogCallOptions,
  ): Promise<AppendAck[]> {
    const batches = parts.map(({ logStream, batch, condition }) => {
      return {
        logStream,
        records: decodeBatch(batch),
        headers: attributesOf(batch).recordHeaders,
        condition,
      };
    });
    const places = await this.store.append(batches, options);
    return parts.map(({ logStream, batch: { count } }, i) => {
      const place = places[i]!;
      return { glsn: glsn(place.glsn), llsn: llsn(place.llsn), logStream, count };
    });
  }

  /** As that of a topic; all of its log streams are fenced in either case. */
  async fence(options: FenceOptions = {}): Promise<number> {
    checkNames(options, FENCE_NAMES, 'fence');
    const { token, signal } = options;
    signal?.throwIfAborted();
    if (token !== undefined) checkToken('token', token);
    return this.store.fence(token);
  }

  /** As that of a topic. All producers append to the log stream where records go that name none. */
  async producer(options: CallLimits & { id: number }): Promise<MemoryProducer<In>> {
    const { id, signal } = checkedProducer(options);
    signal?.throwIfAborted();
    const { store, codec } = this;
    const { epoch, takeOnce } = await store.openProducer();
    const { clock } = store.ports;
    return new MemoryProducer({ id, epoch, logStream: LOG_STREAM, clock, codec, takeOnce });
  }

  read(options: ReadOptions = {}): AsyncIterable<Entry<T>> {
    checkNames(options, READ_NAMES, 'read');
    const { from = 'start', to, signal } = options;
    checkReading(options);
    return this.iterate(from, to ?? 'tail', signal, this.decoding, {
      reached: () => this.reached(from, options),
    });
  }

  tail(options: TailOptions = {}): AsyncIterable<Entry<T>> {
    checkNames(options, TAIL_NAMES, 'tail');
    const { from = 'end', signal } = options;
    checkReading({ ...options, from });
    return this.iterate(from, Infinity, signal);
  }

  tail$(options: TailOptions & FlowLimits = {}): EntryObservable<T> {
    checkNames(options, TAIL_FLOW_NAMES, 'tail$');
    const { from = 'end', signal } = options;
    checkReading({ ...options, from });
    const { store, decoding } = this;
    const open = (): MemorySubscription<T> =>
      new MemorySubscription<T>({
        clock: store.ports.clock,
        last: () => store.last,
        entries: (ending, begun) => {
          const both = firstAbort(ending, signal);
          onAbort(ending, both.release);
          return this.iterate(from, Infinity, both.signal, decoding, { begun });
        },
      });
    return new EntryObservable(open, options);
  }

  process(
    options: ConsumerOptions<T> & Partial<WithCheckpoint<CheckpointStore>>,
    handler: RecordHandler<T, never>,
  ): Consumer {
    const { store, decoding } = this;
    const all = decoding && { ...decoding, onDecodeError: 'pass' as const };
    const source = {
      ports: store.ports,
      registry: store.consumers,
      onDecodeError: decoding?.onDecodeError ?? 'error',
      begin: (from: unknown) => consumerBegin(from, store.name, TOPIC),
      since: async (from: From) => {
        store.checkConnected();
        // Never a word, which stands for no time.
        return this.begin(from) as number;
      },
      tail: (from: number, signal: AbortSignal) => this.iterate(from, Infinity, signal, all),
      read: (glsn: number, signal: AbortSignal) => this.iterate(glsn, glsn, signal, all),
    };
    const checked = checkedOptions(options, handler);
    return new Consumer(source, checked, handler as RecordHandler<unknown, unknown>);
  }

  private async *iterate(
    from: From,
    to: number | 'tail',
    signal: AbortSignal | undefined,
    decoding: Decoding<T> | undefined = this.decoding,
    { reached = async () => {}, begun = () => {} }: Beginning = {},
  ): AsyncGenerator<Entry<T>> {
    const { store } = this;
    const isTail = to === Infinity;
    const isOver = (): boolean => {
      if (signal?.aborted !== true) return false;
      if (isTail) return true;
      throw signal.reason;
    };
    while (isTail && !store.connected && !isOver()) await store.changed(signal);
    if (isOver()) return;
    await store.arrive(signal);
    if (isOver()) return;
    store.checkConnected();
    await reached();
    const range = resolveRange({ from: this.begin(from), to }, store);
    begun(range.from);
    for (let next = range.from; next <= range.to; ) {
      if (isOver()) return;
      if (next < store.first) throw trimmed(next, store.first);
      const found = store.connected ? store.entriesFrom(next) : [];
      for (const it of found) {
        if (it.position > range.to) return;
        if (isOver()) return;
        next = it.position + 1;
        const entry = this.entry(it, decoding);
        if (entry !== undefined) yield entry;
      }
      if (found.length === 0) await store.changed(signal);
    }
  }

  /** Waits for the positions that are named where a read need not be linearizable, as for a replica that lags. */
  private async reached(from: From, { to, ...options }: ReadOptions): Promise<void> {
    const { store } = this;
    const begin = beginOf(from, store.name, TOPIC);
    const least = leastPosition(options, { from: begin, to: to ?? 'tail' }) ?? 0;
    if (store.last >= least) return;
    const { signal, timeoutMs = TIMEOUT_MS } = options;
    const limits: CallLimits = signal === undefined ? {} : { signal };
    const what = `waiting for position ${least} of a log in memory`;
    await withinLimits(store.ports.clock, { ...limits, timeoutMs, what }, async (limit) => {
      while (store.last < least) {
        await store.changed(limit.signal);
        limit.signal.throwIfAborted();
      }
    });
  }

  private begin(from: From): 'start' | 'end' | number {
    const { store } = this;
    const begin = beginOf(from, store.name, TOPIC);
    return isAtTime(begin) ? store.since(begin) : begin;
  }

  /** `undefined` for one that is skipped. Throws `DECODE_FAILED`. */
  private entry(
    { position, timestamp, command, headers, ...at }: MemoryEntry,
    decoding: Decoding<T> | undefined,
  ): Entry<T> | undefined {
    const { store } = this;
    const place = {
      cluster: store.name,
      topic: TOPIC,
      logStream: at.logStream,
      glsn: glsn(position),
      llsn: llsn(at.llsn),
      timestamp,
    };
    const said = headers === undefined ? {} : { recordHeaders: new Map([[0, headers]]) };
    const batch = new EntryBatch(place, encodeBatch([command], said));
    const decode = decoding && ((it: Entry<unknown>) => decodeEntry(decoding.codec, it));
    const [entry] = batch.entries<T>(decode);
    const error = entry!.decodeError;
    if (error === undefined || decoding?.onDecodeError === 'pass') return entry;
    if (decoding?.onDecodeError === 'skip') return undefined;
    throw error;
  }
}
