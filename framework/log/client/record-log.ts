import type { LogStreamId } from '../../base/index.ts';
import type {
  CheckpointStore,
  Consumer,
  ConsumerOptions,
  RecordHandler,
  TransactionalCheckpointStore,
  WithCheckpoint,
} from '../consumer/index.ts';
import type { AppendInput } from './append-batch.ts';
import type { AppendPart, AtomicAck } from './atomic-append.ts';
import type { CallLimits } from './call-limit.ts';
import type { OnDecodeError } from './decoding.ts';
import type { Entry } from './entry.ts';
import type { EntryObservable, FlowLimits } from './entry-observable.ts';
import type { Expectation } from './expectation.ts';
import type { FenceOptions } from './fence.ts';
import type { Freshness } from './freshness.ts';
import type { AppendAck } from './pending-append.ts';
import type { From } from './position-option.ts';
import type { TopicProducer } from './producer.ts';
import type { RecordCodec, RecordInput } from './record-codec.ts';
import type { RecordAttributes } from './record-headers.ts';

export interface TopicOptions<T, In = T> {
  /** How values become records, and records values: `json()`, `json(schema)`, `text`, `protobuf(type)`, or one of your own. */
  codec: RecordCodec<T, In>;
  /** What becomes of a record that the codec does not take. Default `'error'`. */
  onDecodeError?: OnDecodeError;
}

/** `key` and `headers` are of each record that has none of its own: see {@link record}. */
export interface AppendOptions extends RecordAttributes {
  /** Append to this log stream. Default: the topic's writable ones in turn. */
  logStream?: LogStreamId;
  /** What has to hold of the log stream; otherwise nothing is appended, and the append fails with `CONDITION_FAILED`. */
  expect?: Expectation;
  /** Ends the call with `signal.reason`; what was sent already may still be stored. */
  signal?: AbortSignal;
  /** Default 10,000. */
  timeoutMs?: number;
  /** Whether the acknowledgement tells where the time of the append went. Default: it does not. */
  receipt?: boolean;
}

export interface ReadOptions extends Freshness {
  /** Default `'start'`. */
  from?: From;
  /** The last GLSN, included. Default: the last one that is there when the reading begins. */
  to?: number;
  /**
   * How long it may take until it is known where to begin and to end, in milliseconds, by default 10,000; and how long it then
   * waits for its next record while the replicas that should have it fail, by default 30,000.
   */
  timeoutMs?: number;
  /** Ends it: the iteration rejects with `signal.reason`, because half a range must not look like a whole one. */
  signal?: AbortSignal;
  /** Bytes that are received ahead of the consumer at the most. Default 8 MiB. */
  bufferBytes?: number;
}

export interface TailOptions {
  /** Default `'end'`. */
  from?: From;
  /** Ends it: the iteration ends quietly. */
  signal?: AbortSignal;
  /** Bytes that are received ahead of the consumer at the most. Default 8 MiB. */
  bufferBytes?: number;
}

/** Who appends exactly once: a {@link TopicProducer}, or what stands for one in tests. */
export type RecordProducer<In = RecordInput> = Pick<
  TopicProducer<In>,
  'id' | 'epoch' | 'logStream' | 'failure' | 'append' | 'close'
>;

/**
 * Records in one order, as far as a service needs them that appends and reads: a `Topic`, or in its tests a log in memory
 * (`new MemoryLog().records()` of `varlog/testing`). One contract suite tests both. See the methods of `Topic`.
 */
export interface RecordLog<T = Uint8Array, In = RecordInput> {
  append(records: AppendInput<In>, options?: AppendOptions): Promise<AppendAck>;
  appendAtomically(parts: readonly AppendPart<In>[], options?: CallLimits): Promise<AtomicAck>;
  read(options?: ReadOptions): AsyncIterable<Entry<T>>;
  tail(options?: TailOptions): AsyncIterable<Entry<T>>;
  tail$(options?: TailOptions & FlowLimits): EntryObservable<T>;
  fence(options?: FenceOptions): Promise<number>;
  producer(options: CallLimits & { id: number }): Promise<RecordProducer<In>>;
  process<Transaction>(
    options: ConsumerOptions<T> & WithCheckpoint<TransactionalCheckpointStore<Transaction>>,
    handler: RecordHandler<T, Transaction>,
  ): Consumer;
  process(
    options: ConsumerOptions<T> & Partial<WithCheckpoint<CheckpointStore>>,
    handler: RecordHandler<T>,
  ): Consumer;
}
