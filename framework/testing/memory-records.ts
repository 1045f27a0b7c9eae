import {
  attributesOf,
  decodeBatch,
  encodeBatch,
  glsn,
  type Headers,
  type LogCallOptions,
  type LogEntry,
  llsn,
} from '../base/index.ts';
import { type AppendInput, toBatch } from '../log/client/append-batch.ts';
import { receiptTimer } from '../log/client/append-receipt.ts';
import { type CallLimits, checkTimeout, withinLimits } from '../log/client/call-limit.ts';
import { type Decoding, decodeEntry, decodingOf } from '../log/client/decoding.ts';
import { checkFreshness, leastPosition } from '../log/client/freshness.ts';
import {
  type AppendAck,
  type AppendOptions,
  bytes,
  type Entry,
  EntryBatch,
  type From,
  type ReadOptions,
  type RecordCodec,
  type RecordLog,
  type TailOptions,
  type TopicOptions,
} from '../log/client/index.ts';
import { trimmed } from '../log/client/merged-reader.ts';
import {
  beginOf,
  checkRange,
  isAtTime,
  millisecondsOf,
  resolveRange,
} from '../log/client/position-option.ts';
import { realClock } from '../runtime/index.ts';

const TOPIC = 1;
const LOG_STREAM = 1;
const TIMEOUT_MS = 10_000;

/** A record as a log in memory keeps it. */
export interface MemoryEntry extends LogEntry {
  readonly timestamp: number;
  readonly headers: Headers | undefined;
}

/** What is below {@link MemoryRecords}. */
export interface RecordStore {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly connected: boolean;
  /** Throws `UNAVAILABLE` while nobody reaches it. */
  checkConnected(): void;
  /** As `OrderedLog.append`, with the headers of some of the records. */
  append(
    records: readonly Uint8Array[],
    headers: ReadonlyMap<number, Headers> | undefined,
    options: LogCallOptions,
  ): Promise<number>;
  entriesFrom(position: number): readonly MemoryEntry[];
  /** Resolves when something was appended, or `signal` is aborted. */
  changed(signal: AbortSignal | undefined): Promise<void>;
}

/** The records of a log in memory, as those of a topic of one log stream. */
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
    const timer = receiptTimer(options.receipt, realClock());
    const batch = toBatch(records, this.codec, options);
    const { recordHeaders } = attributesOf(batch);
    const first = await this.store.append(decodeBatch(batch), recordHeaders, options);
    const place = { glsn: glsn(first), llsn: llsn(first), logStream: LOG_STREAM };
    const ack = { ...place, count: batch.count };
    return timer === undefined ? ack : { ...ack, receipt: timer.receipt(null) };
  }

  read(options: ReadOptions = {}): AsyncIterable<Entry<T>> {
    const { from = 'start', to, signal, timeoutMs = TIMEOUT_MS } = options;
    checkRange(from, to);
    checkFreshness(options);
    checkTimeout(timeoutMs);
    return this.iterate(from, to ?? 'tail', signal, () => this.reached(from, options));
  }

  tail({ from = 'end', signal }: TailOptions = {}): AsyncIterable<Entry<T>> {
    checkRange(from);
    return this.iterate(from, Infinity, signal);
  }

  private async *iterate(
    from: From,
    to: number | 'tail',
    signal: AbortSignal | undefined,
    reached: () => Promise<void> = async () => {},
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
    store.checkConnected();
    await reached();
    const range = resolveRange({ from: this.begin(from), to }, store);
    for (let next = range.from; next <= range.to; ) {
      if (isOver()) return;
      if (next < store.first) throw trimmed(next, store.first);
      const found = store.connected ? store.entriesFrom(next) : [];
      for (const it of found) {
        if (it.position > range.to) return;
        if (isOver()) return;
        next = it.position + 1;
        const entry = this.entry(it);
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
    await withinLimits(realClock(), { ...limits, timeoutMs, what }, async (limit) => {
      while (store.last < least) {
        await store.changed(limit.signal);
        limit.signal.throwIfAborted();
      }
    });
  }

  private begin(from: From): 'start' | 'end' | number {
    const { store } = this;
    const begin = beginOf(from, store.name, TOPIC);
    if (!isAtTime(begin)) return begin;
    const time = millisecondsOf(begin);
    const found = store.entriesFrom(store.first).find((it) => it.timestamp >= time);
    return found?.position ?? store.last + 1;
  }

  /** `undefined` for one that is skipped. Throws `DECODE_FAILED`. */
  private entry({ position, timestamp, command, headers }: MemoryEntry): Entry<T> | undefined {
    const { decoding, store } = this;
    const place = {
      cluster: store.name,
      topic: TOPIC,
      logStream: LOG_STREAM,
      glsn: glsn(position),
      llsn: llsn(position),
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
