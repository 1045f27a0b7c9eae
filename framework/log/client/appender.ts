import {
  checkCount,
  checkNames,
  type LogStreamId,
  type Ports,
  type RecordLimits,
  recordLimits,
  SequenceMap,
  type TopicId,
  VarlogError,
} from '../../base/index.ts';
import { LOG_TIMES } from '../timing.ts';
import { AppendLink } from './append-link.ts';
import type { Catalog, LocatedLogStream, LocatedTopic } from './catalog.ts';
import type { ClientChannels } from './client-channels.ts';
import { APPENDER_NAMES } from './option-names.ts';
import { type AppendAck, type AskedAppend, PendingAppend } from './pending-append.ts';

/** Bytes of batches that were handed to the network and have no answer. More wait. */
const IN_FLIGHT_BYTES = 16 * 1024 * 1024;
/** Bytes of batches that wait. More are refused. */
const WAITING_BYTES = 64 * 1024 * 1024;
/** A log stream that failed is passed over for so long, where there is another one. */
const AVOID_MS = 500;

export interface AppenderLimits {
  /** Bytes of batches that were handed to the network and have no answer; more wait. Default 16 MiB. */
  inFlightBytes?: number;
  /** Bytes of batches that wait; more are refused with `RESOURCE_EXHAUSTED`. Default 64 MiB. */
  waitingBytes?: number;
  /**
   * The largest record, in bytes; a larger one is refused with `ENTRY_TOO_LARGE`. Default 1 MiB, at most 16 MiB. Storage
   * nodes have to be told as much: `varlog server --record-bytes-max`.
   */
  recordBytesMax?: number;
}

/** Sends batches to primaries: chooses log streams, keeps within limits, tries elsewhere what certainly failed. */
export class Appender {
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  readonly catalog: Catalog;
  private readonly channels: ClientChannels;
  /** How much one append may hold. */
  readonly recordLimits: RecordLimits;
  private readonly limits: Required<Omit<AppenderLimits, 'recordBytesMax'>>;
  private readonly links = new Map<string, AppendLink>();
  private readonly avoided = new Map<LogStreamId, number>();
  private readonly turns = new Map<TopicId, number>();
  private readonly pending = new SequenceMap<PendingAppend>();
  /** Those of them that wait for room, in order. */
  private readonly waiting = new SequenceMap<PendingAppend>();
  private waitingBytes = 0;
  private inFlightBytes = 0;
  private doubtAgainAt = 0;
  private closed: VarlogError | undefined;

  constructor(
    ports: Pick<Ports, 'clock' | 'random'>,
    channels: ClientChannels,
    catalog: Catalog,
    options: AppenderLimits = {},
  ) {
    checkNames(options, APPENDER_NAMES, 'appends');
    const { recordBytesMax, ...limits } = options;
    this.recordLimits = recordLimits(recordBytesMax);
    checkCount(limits.inFlightBytes, 'appends.inFlightBytes');
    checkCount(limits.waitingBytes, 'appends.waitingBytes');
    this.ports = ports;
    this.channels = channels;
    this.catalog = catalog;
    this.limits = { inFlightBytes: IN_FLIGHT_BYTES, waitingBytes: WAITING_BYTES, ...limits };
  }

  append(asked: AskedAppend): Promise<AppendAck> {
    return new Promise((resolve, reject) => {
      if (this.closed !== undefined) return reject(this.closed);
      if (asked.signal?.aborted) return reject(asked.signal.reason);
      const size = asked.batch.bytes.length;
      const isAdmitted = this.waiting.size === 0 && this.fits(size);
      // Before it is made: what was refused counts nowhere, and nothing is to be called off for it.
      if (!isAdmitted && this.waitingBytes + size > this.limits.waitingBytes) {
        return reject(tooMuch(this.waitingBytes));
      }
      const pending = new PendingAppend(this, asked, { resolve, reject });
      pending.key = this.pending.add(pending);
      if (isAdmitted) {
        this.admit(pending);
        pending.start();
      } else {
        this.waiting.set(pending.key, pending);
        this.waitingBytes += size;
      }
    });
  }

  /** Bytes that are under way at the most, unless a single batch is larger. */
  get inFlightMax(): number {
    return this.limits.inFlightBytes;
  }

  /** Where an append can go now; `undefined`: nowhere that is known. */
  choose(topicId: TopicId, only: LogStreamId | undefined): LocatedLogStream | undefined {
    const topic = this.catalog.known(topicId);
    if (topic === undefined) return undefined;
    if (only !== undefined) {
      const stream = topic.logStreams.find((it) => it.id === only);
      return stream !== undefined && isWritable(stream) ? stream : undefined;
    }
    return this.nextInTurn(topic);
  }

  /** The next writable log stream; one that seems unwell only when there is no other. */
  private nextInTurn(topic: LocatedTopic): LocatedLogStream | undefined {
    const { logStreams } = topic;
    const turn =
      this.turns.get(topic.id) ?? this.ports.random.below(Math.max(1, logStreams.length));
    let fallback: LocatedLogStream | undefined;
    for (let i = 0; i < logStreams.length; i++) {
      const at = (turn + i) % logStreams.length;
      const stream = logStreams[at]!;
      if (!isWritable(stream)) continue;
      fallback ??= stream;
      if (this.seemsUnwell(stream)) continue;
      this.turns.set(topic.id, at + 1);
      return stream;
    }
    if (fallback !== undefined) this.turns.set(topic.id, turn + 1);
    return fallback;
  }

  private seemsUnwell(stream: LocatedLogStream): boolean {
    const until = this.avoided.get(stream.id);
    if (until !== undefined) {
      if (this.ports.clock.now() < until) return true;
      this.avoided.delete(stream.id);
    }
    return this.links.get(stream.addresses[0]!)?.isSuspect === true;
  }

  /** Passes over a log stream for a while. */
  avoid(id: LogStreamId): void {
    this.avoided.set(id, this.ports.clock.now() + AVOID_MS);
  }

  /**
   * A primary refused what it should not have, if it was replaced and does not know that: whoever reads, and tries again, is to
   * find the one that replaced it.
   */
  doubtPrimaries(): void {
    const now = this.ports.clock.now();
    if (now < this.doubtAgainAt) return;
    this.doubtAgainAt = now + LOG_TIMES.lookUpAgainMs;
    this.catalog.renew().catch(() => {});
  }

  linkTo(address: string): AppendLink {
    let link = this.links.get(address);
    if (link === undefined) {
      link = new AppendLink(this.ports.clock, this.channels, address, (it) => this.lookAgain(it));
      this.links.set(address, link);
    }
    return link;
  }

  /** A storage node owes an answer: its log streams may have another primary by now. */
  private lookAgain(link: AppendLink): void {
    this.catalog.renew().then(
      () => link.abandon((id) => this.primaryOf(id) !== link.address),
      // It is asked again while the answer is owed.
      () => {},
    );
  }

  private primaryOf(id: LogStreamId): string | undefined {
    return this.catalog.logStream(id)?.addresses[0];
  }

  private fits(size: number): boolean {
    return this.inFlightBytes === 0 || this.inFlightBytes + size <= this.limits.inFlightBytes;
  }

  private admit(pending: PendingAppend): void {
    pending.admitted = true;
    this.inFlightBytes += pending.size;
  }

  /** Called once for each append, when it has its result. */
  settled(pending: PendingAppend): void {
    this.pending.delete(pending.key);
    if (!pending.admitted) {
      this.waitingBytes -= pending.size;
      this.waiting.delete(pending.key);
      return;
    }
    this.inFlightBytes -= pending.size;
    const admitted: PendingAppend[] = [];
    for (const [key, next] of this.waiting) {
      if (!this.fits(next.size)) break;
      this.admit(next);
      this.waiting.delete(key);
      this.waitingBytes -= next.size;
      admitted.push(next);
    }
    for (const next of admitted) next.start();
  }

  /** Fails everything that has no result. */
  close(error: VarlogError): void {
    this.closed = error;
    for (const pending of this.pending.values()) pending.abandon(error);
    for (const link of this.links.values()) link.close(error);
    this.links.clear();
  }
}

function isWritable({ state, addresses }: LocatedLogStream): boolean {
  return state === 'open' && addresses.length > 0;
}

function tooMuch(waitingBytes: number): VarlogError {
  return new VarlogError('RESOURCE_EXHAUSTED', {
    what: `appends of ${waitingBytes} bytes wait for the cluster already`,
    because: 'more is appended than it takes',
    next: 'await appends before making more',
    outcome: 'notAppended',
    details: { waitingBytes },
  });
}
