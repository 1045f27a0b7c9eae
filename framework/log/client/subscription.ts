import { BehaviorSubject, type Observable } from 'rxjs';
import {
  Backoff,
  type Glsn,
  glsn,
  onAbort,
  sleep,
  unlessAborted,
  VarlogError,
  Waiters,
} from '../../base/index.ts';
import { LOG_TIMES } from '../timing.ts';
import { type CallLimits, checkCall, withinLimits } from './call-limit.ts';
import { type Decoding, decodeEntry } from './decoding.ts';
import type { Entry, EntryBatch } from './entry.ts';
import { checkReading, type Freshness, leastPosition } from './freshness.ts';
import { type Extent, MergedReader, type MergedReaderOptions } from './merged-reader.ts';
import { PassedOver } from './passed-over.ts';
import { type Begin, isAtTime, millisecondsOf, resolveRange } from './position-option.ts';
import { notReadInTime } from './progress-limit.ts';
import { PullIterator } from './pull-iterator.ts';
import { replicaExtent } from './replica-extent.ts';
import type { SubscriptionStatus } from './status.ts';
import { searchTime, type TimeStart } from './time-search.ts';

const BUFFER_BYTES = 8 * 1024 * 1024;
/** So long a range waits for its next record while replicas fail: longer than a failover takes. */
const RANGE_LIMIT_MS = 30_000;

/** What a subscription needs of the client. */
export interface SubscriptionSource
  extends Pick<MergedReaderOptions, 'ports' | 'channels' | 'catalog' | 'topicId'> {
  /** Where the topic begins and ends, as of now (linearizable). */
  extent(limits: CallLimits): Promise<Extent>;
  /** Aborted when the client is closed. */
  readonly lifetime: AbortSignal;
}

export interface SubscriptionRange extends Readonly<Freshness> {
  readonly from: Begin;
  /** `Infinity`: never ends. `'tail'`: at the last record that is there when it begins. */
  readonly to: number | 'tail';
  readonly signal?: AbortSignal;
  /**
   * How long it may take until it is known where a range begins and ends, by default 10,000; and how long a range then waits
   * for its next record while replicas fail, by default 30,000.
   */
  readonly timeoutMs?: number;
  /** Bytes that are received ahead of the consumer at the most. Default 8 MiB. */
  readonly bufferBytes?: number;
}

/**
 * One pass through a topic in its order, at the pace of whoever iterates. Nothing is opened before the first
 * record is asked for, or `ready` or `caughtUp` is called. It outlives broken connections, sealed log streams,
 * lost and moved replicas without gap or repeat, and says in `status$` what it is doing.
 *
 * ```ts
 * const tail = topic.tail({ from: 'start' });
 * for await (const entry of tail) console.log(entry.glsn, entry.text());
 * ```
 *
 * To be iterated once; leaving the loop closes it.
 */
export class Subscription<T = Uint8Array> implements AsyncIterable<Entry<T>>, AsyncDisposable {
  /** What it is doing, beginning with what it does now; completes when it is closed. */
  readonly status$: Observable<SubscriptionStatus>;
  private readonly statuses = new BehaviorSubject<SubscriptionStatus>({ state: 'connecting' });
  private readonly source: SubscriptionSource;
  private readonly range: SubscriptionRange;
  private readonly decoding: Decoding<T> | undefined;
  /** What to throw once the records before it were given. */
  private undecoded: VarlogError | undefined;
  private timeStart: TimeStart | undefined;
  /** Left out: because of the time at which it begins, or because the codec did not take it. */
  private readonly passedOver = new PassedOver();
  private readonly ending = new AbortController();
  private opening: Promise<MergedReader | undefined> | undefined;
  private reader: MergedReader | undefined;
  private iterated = false;
  private wasClosed = false;
  private start: Glsn = glsn(0);
  /** Everything up to here was dealt with by the consumer. */
  private settledTo = -1;
  /** For the consumer to have dealt with a position. */
  private readonly waiters = new Waiters<number>();

  /** Throws `INVALID_ARGUMENT` or `POSITION_OUT_OF_RANGE` for a bad range. Without `decoding`, records are bytes. */
  constructor(source: SubscriptionSource, range: SubscriptionRange, decoding?: Decoding<T>) {
    const { to, ...reading } = range;
    checkReading(to === 'tail' || to === Infinity ? reading : { ...reading, to });
    this.source = source;
    this.range = range;
    this.decoding = decoding;
    this.status$ = this.statuses.asObservable();
  }

  /** What it is doing now. */
  get status(): SubscriptionStatus {
    return this.statuses.value;
  }

  /** Each record; the loop's body sets the pace. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Entry<T>> {
    return this.iterate(
      () => this.takeEntries(),
      (entry) => entry.glsn,
    );
  }

  /** The same in batches of bytes, as they were appended: for programs that need every microsecond. */
  batches(): AsyncIterableIterator<EntryBatch> {
    return this.iterate(
      () => this.take(),
      (batch) => batch.lastGlsn,
    );
  }

  /** Resolves when it is known where it begins: what is appended from now on is not missed by `from: 'end'`. */
  async ready(): Promise<{ start: Glsn }> {
    const reader = await this.open();
    if (reader === undefined) throw this.endedEarly();
    return { start: this.start };
  }

  /**
   * Resolves when the consumer has dealt with everything that was acknowledged before this call: it came back for
   * the next record, or its `handle` is done. Somebody must be iterating. Rejects with `CLOSED` when the
   * subscription ends before that.
   */
  async caughtUp(limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'caughtUp');
    const what = 'catching up';
    const { clock } = this.source.ports;
    await withinLimits(clock, { what, timeoutMs: Infinity, ...limits }, async (own) => {
      const reader = await unlessAborted(this.open(), own.signal);
      const { last } = await this.source.extent(own);
      const through = Math.min(last, reader?.lastWanted ?? last);
      await unlessAborted(this.reached(through), own.signal);
    });
  }

  /** Resolves when the consumer has dealt with everything up to `position`: read your own writes. */
  async reached(position: number): Promise<void> {
    if (this.settledTo >= position) return;
    if (this.status.state === 'closed') throw this.endedEarly();
    await this.waiters.wait(position);
  }

  /** Whether `close` was called, by its consumer or with the client: what it has in memory is not wanted. */
  get isClosed(): boolean {
    return this.wasClosed;
  }

  /** Ends it; the loop over it ends. Idempotent. */
  close(): void {
    this.wasClosed = true;
    this.ending.abort();
    this.reader?.close();
    this.closed({ state: 'closed' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** As {@link take}, the records that the codec takes, or that may pass. Rejects with `DECODE_FAILED`. */
  async takeEntries(): Promise<Entry<T>[] | undefined> {
    for (;;) {
      if (this.undecoded !== undefined) throw this.brokenOff(this.undecoded);
      const batches = await this.take();
      if (batches === undefined) return undefined;
      const entries = this.decode(batches);
      if (entries.length > 0) return entries;
    }
  }

  /** The next batches; `undefined` at the end. For those who say by `settle` what was dealt with. */
  async take(): Promise<EntryBatch[] | undefined> {
    const { signal, to } = this.range;
    const isAborted = (): boolean => signal?.aborted === true;
    while (!isAborted()) {
      const reader = await this.open();
      const batches = await reader?.take();
      const { timeStart } = this;
      if (batches === undefined || timeStart === undefined) {
        if (batches === undefined && isAborted()) break;
        return batches;
      }
      const kept = timeStart.keep(batches, this.passedOver);
      this.settle(this.settledTo);
      if (kept.length > 0) return kept;
    }
    this.close();
    // Half a range must not look like a whole one; a tail has no other end.
    if (to !== Infinity) throw signal?.reason;
    return undefined;
  }

  /** The consumer has dealt with everything up to `position`. */
  settle(position: number): void {
    const reached = Math.max(this.settledTo, this.passedOver.reached(position));
    this.settledTo = reached;
    if (this.waiters.size > 0) this.waiters.resolve((it) => it <= reached);
  }

  /** To be called once: two loops would share the records. */
  claim(): void {
    if (!this.iterated) {
      this.iterated = true;
      return;
    }
    throw new VarlogError('FAILED_PRECONDITION', {
      what: 'this subscription is being iterated already, or was',
      next: 'call tail() or read() again for another pass',
    });
  }

  private iterate<Item>(
    refill: () => Promise<readonly Item[] | undefined>,
    positionOf: (item: Item) => number,
  ): PullIterator<Item> {
    this.claim();
    return new PullIterator<Item>({
      refill,
      settled: (item) => this.settle(positionOf(item)),
      close: () => this.close(),
      isClosed: () => this.wasClosed,
    });
  }

  private decode(batches: readonly EntryBatch[]): Entry<T>[] {
    const { decoding } = this;
    if (decoding === undefined) return batches.flatMap((it) => it.entries<T>(undefined));
    const { codec, onDecodeError } = decoding;
    const entries: Entry<T>[] = [];
    for (const batch of batches) {
      for (const entry of batch.entries((it) => decodeEntry(codec, it))) {
        const error = onDecodeError === 'pass' ? undefined : entry.decodeError;
        if (error === undefined) {
          entries.push(entry);
        } else if (onDecodeError === 'skip') {
          this.passedOver.add(entry.glsn, entry.glsn);
        } else {
          this.undecoded = error;
          return entries;
        }
      }
    }
    if (onDecodeError === 'skip') this.settle(this.settledTo);
    return entries;
  }

  /** Ends it because of what cannot be given. */
  private brokenOff(error: VarlogError): VarlogError {
    this.reader?.close({ error });
    this.closed({ state: 'closed', error });
    return error;
  }

  /** `undefined` when it was closed first by its consumer; rejects when that was for another reason. */
  private open(): Promise<MergedReader | undefined> {
    this.opening ??= this.openReader()
      .catch((error: unknown) => {
        this.closed({ state: 'closed', error });
        return undefined;
      })
      .then((reader) => {
        const { status } = this;
        if (reader !== undefined || status.state !== 'closed') return reader;
        if (status.error !== undefined) throw status.error;
        return undefined;
      });
    return this.opening;
  }

  private async openReader(): Promise<MergedReader | undefined> {
    const { source, range } = this;
    const forget = [
      onAbort(range.signal, () => this.close()),
      onAbort(source.lifetime, () => this.clientClosed(source.lifetime.reason)),
    ];
    onAbort(this.ending.signal, () => {
      for (const it of forget) it();
    });
    if (this.ending.signal.aborted) return undefined;
    const extent = await this.firstExtent();
    const from = await this.beginIn(extent);
    const resolved = resolveRange({ from, to: range.to }, extent);
    await source.catalog.topic(source.topicId, { signal: this.ending.signal });
    if (this.ending.signal.aborted) return undefined;
    this.start = glsn(resolved.from);
    this.settle(resolved.from - 1);
    const { ports, channels, catalog, topicId } = source;
    this.reader = new MergedReader({
      ports,
      channels,
      catalog,
      topicId,
      ...resolved,
      tail: Math.min(extent.last, resolved.to),
      bufferBytes: range.bufferBytes ?? BUFFER_BYTES,
      limitMs: range.to === Infinity ? Infinity : (range.timeoutMs ?? RANGE_LIMIT_MS),
      extent: () => source.extent({ signal: this.ending.signal }),
      onStatus: (status) => this.report(status),
    });
    return this.reader;
  }

  /** A time is looked up. */
  private async beginIn(extent: Extent): Promise<'start' | 'end' | number> {
    const { from } = this.range;
    if (!isAtTime(from)) return from;
    const { source, range } = this;
    const what = `looking for the records of topic ${source.topicId} since a time`;
    const timeoutMs =
      range.to === Infinity ? Infinity : (range.timeoutMs ?? LOG_TIMES.callTimeoutMs);
    let failure: unknown;
    const limits = { what, timeoutMs, signal: this.ending.signal };
    try {
      this.timeStart = await withinLimits(source.ports.clock, limits, ({ signal }) =>
        searchTime(source, millisecondsOf(from), extent, {
          signal,
          onFailure: (attempt, cause) => {
            failure = cause;
            if (attempt > 1) this.report({ state: 'reconnecting', attempt, cause });
          },
        }),
      );
    } catch (error) {
      if (failure === undefined || !VarlogError.is(error, 'TIMEOUT')) throw error;
      throw notReadInTime(
        `the first record of topic ${source.topicId} since a time was not found`,
        timeoutMs,
        failure,
      );
    }
    return this.timeStart.from;
  }

  /** A tail waits for the cluster as long as it takes; a range gives up. */
  private async firstExtent(): Promise<Extent> {
    const { source, range } = this;
    const { signal } = this.ending;
    const { timeoutMs } = range;
    const limits = timeoutMs === undefined ? { signal } : { signal, timeoutMs };
    const least = leastPosition(range, range);
    if (least !== undefined) return replicaExtent(source, least, limits);
    const backoff = new Backoff(source.ports.random, 100, 5_000);
    for (let attempt = 1; ; attempt++) {
      try {
        return await source.extent(limits);
      } catch (error) {
        const isLasting = !VarlogError.is(error) || !error.retryable;
        if (signal.aborted || isLasting || this.range.to !== Infinity) throw error;
        this.report({ state: 'reconnecting', attempt, cause: error });
        await sleep(source.ports.clock, backoff.nextMs(), signal);
      }
    }
  }

  private report(status: SubscriptionStatus): void {
    if (status.state === 'closed') this.closed(status);
    else if (this.status.state !== 'closed') this.statuses.next(status);
  }

  /** A tail has no other end; half a range must not look like a whole one. */
  private clientClosed(error: unknown): void {
    if (this.range.to === Infinity) {
      this.close();
    } else {
      this.reader?.close({ error });
      this.closed({ state: 'closed', error });
    }
  }

  private closed(status: SubscriptionStatus): void {
    if (this.status.state === 'closed') return;
    this.statuses.next(status);
    this.statuses.complete();
    this.ending.abort();
    this.waiters.stop(this.endedEarly());
  }

  private endedEarly(): VarlogError {
    const { status } = this;
    const cause = status.state === 'closed' ? status.error : undefined;
    if (VarlogError.is(cause)) return cause;
    return new VarlogError('CLOSED', {
      what: 'the subscription ended before that',
      next: 'keep iterating until it has caught up',
      cause,
    });
  }
}
