import {
  assert,
  BATCH_BYTES_MAX,
  type Clock,
  checkNames,
  checkPosition,
  checkSignal,
  chunksOf,
  encodeBatch,
  type Followed,
  joined,
  type LogCallOptions,
  type OptionNames,
  type OrderedLog,
  type Producer,
  VarlogError,
  Wakeups,
} from '../base/index.ts';
import { checkCall } from '../log/client/call-limit.ts';
import { trimmed } from '../log/client/merged-reader.ts';
import { type AtTime, millisecondsOf } from '../log/client/position-option.ts';
import { PRODUCER_LIMITS, ProducerTable, refusalOfProducer } from '../log/core/index.ts';
import type { RecordInput, RecordLog, TopicOptions } from '../log/index.ts';
import { realClock, realRandom } from '../runtime/index.ts';
import { type AppendFault, checkFaults } from './append-fault.ts';
import type { Capture } from './capture.ts';
import { LOG_STREAM, type MemoryBatch } from './memory-batch.ts';
import { MemoryConditions } from './memory-conditions.ts';
import { MemoryConsumers } from './memory-consumers.ts';
import { type LinkOptions, MemoryLink } from './memory-link.ts';
import type { MemoryProducer } from './memory-producer.ts';
import { type MemoryEntry, MemoryRecords, type RecordStore } from './memory-records.ts';

let made = 0;

export interface MemoryLogOptions {
  /** What it says it is: to play a log that lost its end, or the same one. Default: one of its own. */
  identity?: string;
  /** Whether it answers from the start. Default: it does. */
  connected?: boolean;
  /** What gives records their time, and consumers theirs where it is a whole clock. Default: the clock of this machine. */
  clock?: Pick<Clock, 'wall'> | Clock;
}

const NAMES: OptionNames<MemoryLogOptions> = { identity: true, connected: true, clock: true };

/** An `OrderedLog` in memory, for one process. Several replicas may share one. */
export class MemoryLog implements OrderedLog {
  private readonly name: string;
  private connected: boolean;
  /** What time is taken from that passes; `wall` alone may be of another clock. */
  private readonly clock: Clock;
  private readonly wall: Pick<Clock, 'wall'>;
  private entries: MemoryEntry[] = [];
  private last = 0;
  private lastTime = 0;
  private snapshot: { position: number; state: Uint8Array } | undefined;
  private readonly wakeups = new Wakeups();
  private readonly faults: AppendFault[] = [];
  private late: MemoryBatch[] = [];
  /** The last LLSN of each log stream. */
  private readonly ends = new Map<number, number>();
  private readonly producers = new ProducerTable(PRODUCER_LIMITS);
  private producerEpoch = 0;
  private readonly conditions = new MemoryConditions();
  /** Those that `records().process` starts, by name: what they have parked, and how it is replayed. */
  readonly consumers: MemoryConsumers;

  constructor(options: MemoryLogOptions = {}) {
    checkNames(options, NAMES, 'MemoryLog');
    this.name = options.identity ?? `memory ${++made}`;
    this.connected = options.connected ?? true;
    const clock: Pick<Clock, 'wall'> | Clock = options.clock ?? realClock();
    this.wall = clock;
    this.clock = isWhole(clock) ? clock : realClock();
    const log = this;
    this.consumers = new MemoryConsumers({
      name: this.name,
      get first() {
        return log.first;
      },
      get last() {
        return log.last;
      },
      checkConnected: () => this.checkConnected(),
      since: (from) => this.since(from),
    });
  }

  /** A log with the records of a captured stretch, at the positions that they had there. It begins with the first of them. */
  static from(capture: Capture, options: Omit<MemoryLogOptions, 'identity'> = {}): MemoryLog {
    const log = new MemoryLog({ ...options, identity: capture.identity });
    log.last = capture.first - 1;
    for (const { command, headers, logStream, timestamp } of capture.entries) {
      log.lastTime = Math.max(log.lastTime, timestamp);
      const said = headers === undefined ? undefined : new Map([[0, headers]]);
      log.storeOne({ logStream, records: [command], headers: said, condition: undefined });
    }
    return log;
  }

  /**
   * The same log as records with key, headers and time, for services that append to a topic and read it: what was
   * trimmed is what {@link compact} took. Without a codec, records are bytes. Commands of replicas, which carry a time
   * of their own, have that of the record before.
   */
  records(): RecordLog;
  records<T, In = T>(options: TopicOptions<T, In>): RecordLog<T, In>;
  records<T, In>(options?: TopicOptions<T, In>): RecordLog<T, In> {
    return new MemoryRecords(this.recordStore, options);
  }

  /** What {@link records} are made of, here and at the end of a link. */
  get recordStore(): RecordStore {
    const log = this;
    return {
      name: this.name,
      get first() {
        return log.first;
      },
      get last() {
        return log.last;
      },
      get connected() {
        return log.connected;
      },
      checkConnected: () => this.checkConnected(),
      arrive: async () => {},
      append: (batches, limits, faults) => {
        this.passTime();
        return this.put(batches, limits, faults);
      },
      openProducer: async () => {
        this.checkConnected();
        const epoch = ++this.producerEpoch;
        return { epoch, takeOnce: (batch, it, faults) => this.storeOnce(batch, it, faults) };
      },
      fence: async (token) => {
        this.checkConnected();
        return this.conditions.fence(token);
      },
      entriesFrom: (position) => this.entries.slice(position - this.first),
      changed: (signal) => this.wakeups.wait(signal),
      consumers: this.consumers.registry,
      since: (from) => this.since(from),
      ports: { clock: this.clock, random: realRandom },
    };
  }

  private since(from: AtTime): number {
    const time = millisecondsOf(from);
    const found = this.entries.find((it) => it.timestamp >= time);
    return found?.position ?? this.last + 1;
  }

  /** From now on nobody reaches it: calls are refused, followers wait. */
  disconnect(): void {
    this.connected = false;
  }

  connect(): void {
    this.connected = true;
    this.wake();
  }

  /** Whoever waits for something to change looks again. */
  wake(): void {
    this.wakeups.wake();
  }

  /** Makes the next appends fail, one each. */
  failNext(...faults: AppendFault[]): void {
    checkFaults(faults);
    this.faults.push(...faults);
  }

  async identity(options: LogCallOptions = {}): Promise<string> {
    checkCall(options, 'identity');
    options.signal?.throwIfAborted();
    this.checkConnected();
    return this.name;
  }

  /**
   * A way of one replica to this log, which can be slow, cut, or lose what is sent, while those of others are not. Pass it
   * to `startReplica` in place of the log.
   */
  link(options: LinkOptions): MemoryLink {
    return new MemoryLink(this, options);
  }

  async append(commands: readonly Uint8Array[], options: LogCallOptions = {}): Promise<number> {
    checkCall(options, 'append');
    const [place] = await this.put([batchOf(commands)], options);
    return place!.glsn;
  }

  /** For {@link link}: an append that takes its fault from this queue. */
  async appendUnder(faults: AppendFault[], commands: readonly Uint8Array[]): Promise<number> {
    const [place] = await this.put([batchOf(commands)], {}, faults);
    return place!.glsn;
  }

  /**
   * Opens a producer, which appends exactly once, as `topic.producer` does: a fault hits one of its tries, and it tries
   * again. While nobody reaches the log, it waits.
   */
  producer(options: { id: number }): Promise<MemoryProducer> {
    return new MemoryRecords<Uint8Array, RecordInput>(this.recordStore, undefined).producer(
      options,
    );
  }

  async *follow(from: number, options: { signal?: AbortSignal } = {}): AsyncGenerator<Followed> {
    checkNames(options, { signal: true }, 'follow');
    const { signal } = options;
    checkPosition(from, 'from');
    checkSignal(signal);
    for (let next = Math.max(from, 1); signal?.aborted !== true; ) {
      if (!this.connected) {
        await this.wakeups.wait(signal);
      } else if (this.snapshot !== undefined && next <= this.snapshot.position) {
        next = this.snapshot.position + 1;
        const { position, state } = this.snapshot;
        yield { kind: 'snapshot', position, state: chunksOf(state) };
      } else if (next < this.first) {
        throw trimmed(next, this.first);
      } else if (next <= this.last) {
        const entries = this.entries.slice(next - this.first);
        next = this.last + 1;
        yield { kind: 'entries', entries, through: next - 1 };
      } else {
        await this.wakeups.wait(signal);
      }
    }
  }

  async tail(options: LogCallOptions = {}): Promise<number> {
    checkCall(options, 'tail');
    options.signal?.throwIfAborted();
    this.checkConnected();
    return this.last;
  }

  /**
   * As `OrderedLog.compact`. What a consumer has not done stays readable as a record, unless `force` says otherwise: that is
   * how a topic is trimmed whoever holds it.
   */
  async compact(
    position: number,
    state: Uint8Array | AsyncIterable<Uint8Array>,
    options: { force?: boolean } = {},
  ): Promise<void> {
    checkNames(options, { force: true }, 'compact');
    const { force = false } = options;
    this.checkConnected();
    assert(position <= this.last, 'a snapshot stands for committed entries');
    // Of its own: the caller may go on to use what it gave.
    const whole = await joined(chunksOf(state));
    if (position > (this.snapshot?.position ?? 0)) this.snapshot = { position, state: whole };
    const upTo = force ? position : Math.min(position, this.consumers.neededBehind);
    this.entries = this.entries.filter((it) => it.position > upTo);
  }

  /** The first position that is kept; after the last one when there is none. */
  private get first(): number {
    return this.entries[0]?.position ?? this.last + 1;
  }

  private async put(
    batches: readonly MemoryBatch[],
    options: LogCallOptions,
    faults = this.faults,
  ): Promise<Place[]> {
    options.signal?.throwIfAborted();
    if (batches.some((it) => it.records.length === 0)) {
      const next = 'append at least one command';
      throw new VarlogError('EMPTY_BATCH', {
        what: 'nothing to append',
        next,
        outcome: 'notAppended',
      });
    }
    this.checkConnected();
    checkSize(batches.flatMap((it) => it.records));
    const fault = faults.shift();
    const what = 'an injected fault hit an append';
    if (fault === 'refused') throw new VarlogError('UNAVAILABLE', { what, outcome: 'notAppended' });
    if (fault === 'unknownLost')
      throw new VarlogError('APPEND_UNKNOWN', { what, outcome: 'unknown' });
    if (fault === 'unknownLate') {
      this.late.push(...batches.map(copyOf));
      throw new VarlogError('APPEND_UNKNOWN', { what, outcome: 'unknown' });
    }
    const places = this.store(batches.map(copyOf));
    if (fault === 'unknownApplied')
      throw new VarlogError('APPEND_UNKNOWN', { what, outcome: 'unknown' });
    return places;
  }

  /** Records from now on have the time of the clock, unless that has gone back. */
  private passTime(): void {
    this.lastTime = Math.max(this.lastTime, Math.floor(this.wall.wall()));
  }

  private async storeOnce(
    batch: MemoryBatch,
    producer: Producer,
    faults = this.faults,
  ): Promise<Place & { duplicate: boolean }> {
    for (;;) {
      while (!this.connected) await this.wakeups.wait();
      const count = batch.records.length;
      const found = this.producers.admit(producer, count);
      if (found.kind === 'duplicate') {
        return { glsn: found.glsn!, llsn: found.llsn, duplicate: true };
      }
      if (found.kind !== 'new') throw refusalOfProducer(this.name, producer, found);
      checkSize(batch.records);
      const fault = faults.shift();
      // What would come late is repeated before, and is known then.
      if (fault !== undefined && fault !== 'unknownApplied') continue;
      this.passTime();
      const place = this.store([copyOf(batch)])[0]!;
      this.producers.note({ ...producer, count, llsn: place.llsn, timestamp: 0 });
      this.producers.ordered({ ...place, count });
      if (fault === undefined) return { ...place, duplicate: false };
    }
  }

  /** Where each of the batches begins. Throws `CONDITION_FAILED`; what comes late is dropped then, as nobody waits for it. */
  private store(batches: readonly MemoryBatch[]): Place[] {
    const places = batches.map((it) => {
      this.conditions.check(it.logStream, it.condition, this.endOf(it.logStream));
      return this.storeOne(it);
    });
    for (const it of this.late.splice(0)) {
      if (this.conditions.hold(it.logStream, it.condition, this.endOf(it.logStream)))
        this.storeOne(it);
    }
    this.wakeups.wake();
    return places.slice(0, batches.length);
  }

  private endOf(logStream: number): number {
    return this.ends.get(logStream) ?? 0;
  }

  private storeOne({ logStream, records, headers }: MemoryBatch): Place {
    const place = { glsn: this.last + 1, llsn: this.endOf(logStream) + 1 };
    const timestamp = this.lastTime;
    for (const [i, command] of records.entries()) {
      const at = { position: ++this.last, logStream, llsn: place.llsn + i };
      const own = headers?.get(i);
      this.entries.push({ ...at, timestamp, command, headers: own });
      this.conditions.note(own, at);
    }
    this.ends.set(logStream, place.llsn + records.length - 1);
    return place;
  }

  private checkConnected(): void {
    if (this.connected) return;
    throw new VarlogError('UNAVAILABLE', {
      what: 'the log in memory is disconnected',
      next: 'call connect()',
      outcome: 'notAppended',
    });
  }
}

function isWhole(clock: Pick<Clock, 'wall'> | Clock): clock is Clock {
  return 'after' in clock;
}

/** Where a batch begins. */
interface Place {
  readonly glsn: number;
  readonly llsn: number;
}

function batchOf(records: readonly Uint8Array[]): MemoryBatch {
  if (!Array.isArray(records) || records.some((it) => !ArrayBuffer.isView(it))) throw noBytes();
  return { logStream: LOG_STREAM, records, headers: undefined, condition: undefined };
}

function noBytes(): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'an ordered log takes a list of commands, as bytes',
    next: "append to it as a topic takes records, log.records().append('a text'), or give bytes",
    outcome: 'notAppended',
  });
}

/** The caller may reuse its buffers. */
function copyOf({ records, ...rest }: MemoryBatch): MemoryBatch {
  return { ...rest, records: records.map((it) => new Uint8Array(it)) };
}

/** As a topic and a Raft group do. */
function checkSize(commands: readonly Uint8Array[]): void {
  const framed = encodeBatch(commands).bytes.length;
  if (framed <= BATCH_BYTES_MAX) return;
  throw new VarlogError('ENTRY_TOO_LARGE', {
    what: `the batch has ${framed} bytes; a batch may have ${BATCH_BYTES_MAX}`,
    next: 'append it in several batches',
    outcome: 'notAppended',
  });
}
