import { type LogStreamId, type Ports, type TopicId, VarlogError } from '../../base/index.ts';
import type { Catalog } from './catalog.ts';
import type { ClientChannels } from './client-channels.ts';
import type { EntryBatch } from './entry.ts';
import { type CursorOwner, LogStreamCursor } from './log-stream-cursor.ts';
import { notReadInTime, ProgressLimit, type ReadFailure } from './progress-limit.ts';
import { StallWatch } from './stall-watch.ts';
import type { SubscriptionStatus } from './status.ts';

/** One delivery holds batches of about so many bytes. */
const DELIVERY_BYTES = 256 * 1024;
/** The least that one log stream may buffer, however many there are. */
const CURSOR_BYTES_MIN = 256 * 1024;

/** So often the log streams are looked up again before a record counts as lost. */
const MISSING_TRIES = 4;
/** Other replicas may have it right. */
export const CORRUPT_TRIES = 5;

/** Where a topic begins and ends. */
export interface Extent {
  /** The first GLSN that was not trimmed. */
  readonly first: number;
  /** The last GLSN; 0 for none. */
  readonly last: number;
}

export interface MergedReaderOptions {
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  readonly channels: ClientChannels;
  readonly catalog: Catalog;
  readonly topicId: TopicId;
  /** First GLSN. */
  readonly from: number;
  /** Last GLSN; `Infinity`: it follows for ever. */
  readonly to: number;
  /** The topic's last GLSN when the reader was made. */
  readonly tail: number;
  /** Received and not delivered; beyond it the storage nodes are not read from. */
  readonly bufferBytes: number;
  /** It ends when nothing came for so long because replicas fail; `Infinity`: it waits for them. */
  readonly limitMs: number;
  readonly extent: () => Promise<Extent>;
  readonly onStatus: (status: SubscriptionStatus) => void;
}

/**
 * A topic in its order, merged from its log streams. GLSNs are dense, so the next record is in exactly
 * one log stream and may be delivered the moment it is there, whatever the others do. Outlives broken connections,
 * seals and moved replicas, and finds log streams that are added.
 */
export class MergedReader implements CursorOwner {
  /** GLSN of the next record to deliver. */
  next: number;
  private readonly options: MergedReaderOptions;
  private readonly cursors = new Map<LogStreamId, LogStreamCursor>();
  /** Which log stream's oldest batch begins at a GLSN: of many log streams, the one that is next is not looked for. */
  private readonly heads = new Map<number, LogStreamCursor>();
  /** The last GLSN that is known to be there, from any log stream. */
  private seen = 0;
  /** Of the metadata by which the log streams were opened. */
  private generation = -1;
  private readonly stall: StallWatch;
  private readonly limit: ProgressLimit;
  private failure: { error: unknown } | undefined;
  private wake: (() => void) | undefined;
  private isClosed = false;
  /** It is live once this was delivered. */
  private goal: number;
  private missing = { at: 0, tries: 0 };
  private state: SubscriptionStatus['state'] = 'connecting';

  constructor(options: MergedReaderOptions) {
    this.options = options;
    this.next = options.from;
    this.goal = options.tail;
    this.stall = new StallWatch(options.ports, {
      position: () => this.next,
      isStalled: () => this.isStalled(),
      resolve: (idle) => this.resolveStall(idle),
    });
    this.limit = new ProgressLimit(options.ports.clock, options.limitMs, {
      failure: () => this.failureBefore(this.next),
      end: ({ error }) => {
        const what = `record ${this.next} of topic ${options.topicId} was not read`;
        this.close({ error: notReadInTime(what, options.limitMs, error) });
      },
    });
    if (this.next <= options.to) this.openCursors();
    this.stall.check();
  }

  /** GLSN of the last record that it will deliver. */
  get lastWanted(): number {
    return this.options.to;
  }

  /** The next batches in order; `undefined` at the end. One call at a time. */
  async take(): Promise<EntryBatch[] | undefined> {
    for (;;) {
      const batches = this.collect();
      if (batches.length > 0) {
        this.limit.stop();
        return batches;
      }
      if (this.failure !== undefined) throw this.failure.error;
      if (this.isClosed || this.next > this.options.to) {
        this.close();
        return undefined;
      }
      this.updateStatus();
      this.stall.check();
      this.limit.begin();
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** Ends it: `take` gives `undefined`, or throws `error`. */
  close(error?: { error: unknown }): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.failure ??= error;
    this.stall.close();
    this.limit.stop();
    for (const cursor of this.cursors.values()) cursor.close();
    this.cursors.clear();
    this.heads.clear();
    this.state = 'closed';
    this.options.onStatus(
      this.failure === undefined ? { state: 'closed' } : closedBy(this.failure),
    );
    this.wakeUp();
  }

  onBatch(cursor: LogStreamCursor): void {
    this.goal = Math.max(this.goal, Math.min(cursor.watermark, this.options.to));
    this.noteHead(cursor);
    if (this.isClosed) return;
    if (this.heads.has(this.next) || this.next > this.options.to) this.wakeUp();
    else this.stall.check();
    const isNews = this.state === 'catchingUp' ? this.next > this.goal : this.state !== 'live';
    if (isNews) this.updateStatus();
  }

  onError(cursor: LogStreamCursor, error: unknown): void {
    if (this.isClosed) return;
    // It may have come with what is damaged.
    this.noteHead(cursor);
    if (this.isClosed) return;
    if (this.heads.has(this.next)) this.wakeUp();
    const isDamaged = VarlogError.is(error, 'CORRUPT') && cursor.attempts > CORRUPT_TRIES;
    // What one storage node says of the cluster is about itself: the metadata repository is asked.
    const isFinalHere = isFinal(error) && !VarlogError.is(error, 'CLUSTER_MISMATCH');
    if (isDamaged || isFinalHere) {
      this.close({ error });
      return;
    }
    if (VarlogError.is(error, 'TRIMMED')) this.checkTrimmed(error);
    if (cursor.attempts > 1 || !VarlogError.is(error)) this.updateStatus();
    this.renew();
  }

  addressesOf(logStreamId: LogStreamId): readonly string[] {
    return this.options.catalog.logStream(logStreamId)?.addresses ?? [];
  }

  private collect(): EntryBatch[] {
    const batches: EntryBatch[] = [];
    for (let size = 0; !this.isClosed && size < DELIVERY_BYTES; ) {
      const cursor = this.heads.get(this.next);
      const head = cursor?.peek();
      if (cursor === undefined || head === undefined) break;
      this.heads.delete(this.next);
      cursor.take();
      batches.push(head);
      size += head.bytes.length;
      this.next += head.count;
      this.noteHead(cursor);
    }
    return batches;
  }

  private noteHead(cursor: LogStreamCursor): void {
    const { glsn } = cursor.peek() ?? {};
    this.seen = Math.max(this.seen, cursor.watermark, glsn ?? 0);
    if (glsn === undefined) return;
    const known = this.heads.get(glsn) ?? cursor;
    if (glsn >= this.next && known === cursor) this.heads.set(glsn, cursor);
    else this.close({ error: givenTwice(this.options.topicId, cursor.logStreamId, glsn) });
  }

  private wakeUp(): void {
    const { wake } = this;
    this.wake = undefined;
    wake?.();
  }

  private openCursors(): void {
    const { catalog, topicId, ports, channels, to, bufferBytes } = this.options;
    const topic = catalog.known(topicId);
    // Where many log streams fail at once, all of them look.
    if (topic === undefined || this.generation === catalog.generation) return;
    this.generation = catalog.generation;
    const present = new Set(topic.logStreams.map((it) => it.id));
    for (const [id, cursor] of this.cursors) {
      if (cursor.peek() !== undefined || present.has(id)) continue;
      cursor.close();
      this.cursors.delete(id);
    }
    const share = Math.max(CURSOR_BYTES_MIN, bufferBytes / Math.max(1, topic.logStreams.length));
    for (const { id: logStreamId } of topic.logStreams) {
      if (this.cursors.has(logStreamId)) continue;
      this.cursors.set(
        logStreamId,
        new LogStreamCursor({
          ports,
          channels,
          owner: this,
          topicId,
          logStreamId,
          from: this.next,
          to,
          bufferBytes: share,
        }),
      );
    }
  }

  /** Whether something after the next record was seen, but not that record. */
  private isStalled(): boolean {
    if (this.next > this.options.to) return false;
    if (this.cursors.size === 0) return true;
    return !this.heads.has(this.next) && Math.max(this.goal, this.seen) >= this.next;
  }

  /** Looks for the record that others have passed: in new log streams, at other replicas, at the tail. */
  private async resolveStall(idle: boolean): Promise<void> {
    const { catalog, topicId } = this.options;
    const at = this.next;
    if (idle) {
      const { last } = await this.options.extent();
      if (this.isClosed || at !== this.next) return;
      if (last + 1 < at) return this.close({ error: shrunk(at, last) });
      this.goal = Math.max(this.goal, Math.min(last, this.options.to));
      if (last < at) return;
    }
    await catalog.renew();
    if (this.isClosed || at !== this.next) return;
    if (catalog.known(topicId) === undefined)
      return this.close({ error: catalog.noTopic(topicId) });
    const before = new Set(this.cursors.keys());
    this.openCursors();
    const isNew = [...this.cursors.keys()].some((it) => !before.has(it));
    if (isNew || !this.isStalled()) return;
    const candidates = [...this.cursors.values()].filter(
      (it) => it.peek() === undefined && it.watermark < at,
    );
    for (const it of candidates) {
      it.moveOn(`a replica of log stream ${it.logStreamId} does not go on`);
    }
    if (candidates.length === 0 && this.cursors.size > 0) this.countMissing(at);
  }

  /** Every log stream has gone past the record without it. */
  private countMissing(at: number): void {
    if (this.missing.at !== at) this.missing = { at, tries: 0 };
    if (++this.missing.tries >= MISSING_TRIES) this.close({ error: gone(at) });
  }

  private renew(): void {
    const { catalog, topicId } = this.options;
    catalog.renew().then(
      () => {
        if (this.isClosed) return;
        if (catalog.known(topicId) === undefined) this.close({ error: catalog.noTopic(topicId) });
        else this.openCursors();
      },
      (error: unknown) => {
        if (isFinal(error)) this.close({ error });
      },
    );
  }

  /** A replica may have trimmed more or less: what counts is what the cluster says. */
  private checkTrimmed(error: VarlogError): void {
    this.options.extent().then(
      ({ first }) => {
        if (this.next < first) this.close({ error: trimmed(this.next, first, error) });
      },
      () => {},
    );
  }

  /** Newest failure of the log streams that may hold a record: those that have not gone past it. */
  private failureBefore(at: number): ReadFailure | undefined {
    const failures = [...this.cursors.values()].flatMap((it) =>
      it.peek() === undefined && it.watermark < at && it.failure !== undefined ? [it.failure] : [],
    );
    return failures.toSorted((a, b) => b.at - a.at)[0];
  }

  private updateStatus(): void {
    if (this.isClosed) return;
    let worst: LogStreamCursor | undefined;
    let areConnected = true;
    for (const it of this.cursors.values()) {
      if (it.attempts > (worst?.attempts ?? -1)) worst = it;
      if (!it.isConnected) areConnected = false;
    }
    const { attempts: attempt = 0, failure } = worst ?? {};
    const position = this.next - 1;
    if (attempt > 1) {
      this.report({ state: 'reconnecting', attempt, cause: failure?.error });
    } else if (!areConnected) {
      if (this.state !== 'connecting') return;
    } else if (position < this.goal) {
      this.report({ state: 'catchingUp', position, tail: this.goal });
    } else {
      this.report({ state: 'live', position });
    }
  }

  private report(status: SubscriptionStatus): void {
    const changed = status.state !== this.state || status.state === 'reconnecting';
    this.state = status.state;
    if (changed) this.options.onStatus(status);
  }
}

function closedBy({ error }: { error: unknown }): SubscriptionStatus {
  return { state: 'closed', error };
}

/** Errors that no other replica and no later try would mend. */
export function isFinal(error: unknown): boolean {
  return (
    !VarlogError.is(error) ||
    error.code === 'CLUSTER_MISMATCH' ||
    error.code === 'INVALID_ARGUMENT' ||
    error.code === 'INVARIANT' ||
    error.code === 'POSITION_OUT_OF_RANGE' ||
    error.code === 'UNAUTHENTICATED' ||
    error.code === 'UNIMPLEMENTED'
  );
}

export function trimmed(requested: number, firstAvailable: number, cause?: unknown): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `position ${requested} was trimmed; the first one left is ${firstAvailable}`,
    next: `begin at ${firstAvailable}, or restore a snapshot that covers ${firstAvailable - 1} first`,
    details: { requested, firstAvailable },
    cause,
  });
}

function gone(at: number): VarlogError {
  return new VarlogError('LOG_STREAM_NOT_FOUND', {
    what: `record ${at} is in no log stream of the topic`,
    because: 'the log stream that held it was removed',
    next: 'read on behind the records of that log stream',
    details: { requested: at },
  });
}

/** Of two log streams one may be right: nobody here can tell which. */
function givenTwice(topicId: TopicId, logStreamId: LogStreamId, at: number): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `record ${at} of topic ${topicId} was read from another log stream too, beside log stream ${logStreamId}`,
    because:
      'the nodes that answer are not of one cluster: a copy of it runs at some of the addresses',
    next: 'stop the copy, and begin a new read',
    details: { topic: topicId, logStream: logStreamId, requested: at },
  });
}

function shrunk(next: number, last: number): VarlogError {
  return new VarlogError('BEYOND_TAIL', {
    what: `the topic ends at ${last}, but ${next - 1} was read from it before`,
    because: 'the cluster was made anew or restored from a copy',
    next: 'discard what was derived from the old log, and read from the start',
    details: { requested: next, last },
  });
}
