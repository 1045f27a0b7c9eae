import {
  Backoff,
  glsn,
  type LogStreamId,
  llsn,
  type MessageStream,
  type Ports,
  type Timer,
  type TopicId,
  VarlogError,
} from '../../base/index.ts';
import {
  LogStreams,
  ReadRequest,
  type ReadResponse,
  type Batch as WireBatch,
} from '../../wire/gen/log.ts';
import type { ClientChannels } from './client-channels.ts';
import { EntryBatch } from './entry.ts';
import type { ReadFailure } from './progress-limit.ts';

const RECONNECT_FIRST_MS = 50;
const RECONNECT_LIMIT_MS = 2_000;

/** What a cursor tells the reader that it belongs to. */
export interface CursorOwner {
  /** GLSN of the next record to deliver: those below are of no interest any more, and may be trimmed. */
  readonly next: number;
  /** Batches, a watermark or a connection came. */
  onBatch(cursor: LogStreamCursor): void;
  /** The stream broke; the cursor opens another automatically unless it is closed. */
  onError(cursor: LogStreamCursor, error: unknown): void;
  /** Addresses of the replicas, as known now. */
  addressesOf(logStreamId: LogStreamId): readonly string[];
}

export interface CursorOptions {
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  readonly channels: ClientChannels;
  readonly owner: CursorOwner;
  readonly topicId: TopicId;
  readonly logStreamId: LogStreamId;
  /** First GLSN that is wanted. */
  readonly from: number;
  /** Last GLSN that is wanted; `Infinity`: it follows. */
  readonly to: number;
  /** Received and not taken: from here on the replica is not read from. */
  readonly bufferBytes: number;
}

/**
 * The committed batches of one log stream from some replica, in order, each once. When the replica is lost it
 * goes on at another one, after the last batch that it received.
 */
export class LogStreamCursor {
  readonly logStreamId: LogStreamId;
  /** No batch at or below it comes any more. */
  watermark = 0;
  /** Whether the replica has answered since the stream was opened. */
  isConnected = false;
  /** Failures in a row. */
  attempts = 0;
  /** The last one of all. */
  failure: ReadFailure | undefined;
  private readonly options: CursorOptions;
  private readonly backoff: Backoff;
  private stream: MessageStream<never, ReadResponse> | undefined;
  private timer: Timer | undefined;
  private queue: EntryBatch[] = [];
  private head = 0;
  private bufferedBytes = 0;
  private resume: (() => void) | undefined;
  private replicaIndex: number;
  /** GLSN after the last batch received, and its LLSN once one was. */
  private next: number;
  private nextLlsn: number | undefined;
  private isDone = false;

  constructor(options: CursorOptions) {
    const { random } = options.ports;
    this.options = options;
    this.logStreamId = options.logStreamId;
    this.next = options.from;
    this.backoff = new Backoff(random, RECONNECT_FIRST_MS, RECONNECT_LIMIT_MS);
    this.replicaIndex = random.below(1024);
    this.open();
  }

  /** The oldest batch that was not taken. */
  peek(): EntryBatch | undefined {
    return this.queue[this.head];
  }

  take(): void {
    this.bufferedBytes -= this.queue[this.head]!.bytes.length;
    this.head++;
    if (this.head === this.queue.length || this.head === 256) {
      this.queue.splice(0, this.head);
      this.head = 0;
    }
    if (this.bufferedBytes <= this.options.bufferBytes / 2) this.goOn();
  }

  /** Leaves a replica that seems to know less than others. */
  moveOn(reason: string): void {
    if (this.stream === undefined) return;
    const stream = this.stream;
    this.broken(stream, new VarlogError('UNAVAILABLE', { what: reason }));
  }

  close(): void {
    this.isDone = true;
    this.timer?.cancel();
    const { stream } = this;
    this.stream = undefined;
    stream?.cancel();
    this.goOn();
  }

  private open(): void {
    const { options } = this;
    const addresses = options.owner.addressesOf(this.logStreamId);
    if (addresses.length === 0) {
      const what = `no storage node is known for log stream ${this.logStreamId}`;
      this.failed(new VarlogError('UNAVAILABLE', { what }));
      return;
    }
    const address = addresses[this.replicaIndex % addresses.length]!;
    this.next = Math.max(this.next, options.owner.next);
    const request = ReadRequest.create({
      topicId: options.topicId,
      logStreamId: this.logStreamId,
      fromGlsn: this.next,
      toGlsn: options.to === Infinity ? 0 : options.to,
    });
    const stream = options.channels.to(address).subscribe(LogStreams.Read, request);
    this.stream = stream;
    stream.receive((response) => this.receive(stream, response));
    stream.closed.then(
      () => this.ended(stream),
      (error: unknown) => this.broken(stream, error),
    );
  }

  private receive(
    stream: MessageStream<never, ReadResponse>,
    response: ReadResponse,
  ): void | Promise<void> {
    if (this.stream !== stream) return;
    this.isConnected = true;
    for (const batch of response.batches) this.accept(batch);
    // Not before: a replica that answers with damage only has failed, each time.
    this.attempts = 0;
    this.backoff.reset();
    this.watermark = Math.max(this.watermark, response.highWatermark);
    this.options.owner.onBatch(this);
    if (this.bufferedBytes < this.options.bufferBytes || this.stream !== stream) return;
    return new Promise((resolve) => {
      this.resume = resolve;
    });
  }

  private accept(wire: WireBatch): void {
    const { topicId, logStreamId, channels } = this.options;
    const first = glsn(wire.glsn);
    const end = first + wire.count;
    if (end <= this.next || first > this.options.to) return;
    const skip = Math.max(0, this.next - first);
    const continues = this.nextLlsn === undefined || wire.llsn + skip === this.nextLlsn;
    if (!continues || wire.count < 1) {
      throw new VarlogError('CORRUPT', {
        what: `a replica of log stream ${logStreamId} sent LLSN ${wire.llsn} where ${this.nextLlsn} was due`,
        details: { logStream: logStreamId },
      });
    }
    const batch = EntryBatch.cut(
      {
        cluster: channels.cluster!,
        topic: topicId,
        logStream: logStreamId,
        glsn: first,
        llsn: llsn(wire.llsn),
        timestamp: wire.timestamp,
      },
      { count: wire.count, bytes: wire.records },
      { from: this.next, to: this.options.to },
    );
    this.next = end;
    this.nextLlsn = wire.llsn + wire.count;
    this.queue.push(batch);
    this.bufferedBytes += batch.bytes.length;
  }

  private goOn(): void {
    const { resume } = this;
    this.resume = undefined;
    resume?.();
  }

  /** The replica ended the stream: right for a range, a shutdown otherwise. */
  private ended(stream: MessageStream<never, ReadResponse>): void {
    if (this.stream !== stream) return;
    if (this.options.to !== Infinity) {
      this.stream = undefined;
      this.isDone = true;
      this.isConnected = true;
      this.attempts = 0;
      this.watermark = Math.max(this.watermark, this.options.to);
      this.options.owner.onBatch(this);
      return;
    }
    const what = `a storage node ended the subscription of log stream ${this.logStreamId}`;
    this.broken(stream, new VarlogError('UNAVAILABLE', { what }));
  }

  private broken(stream: MessageStream<never, ReadResponse>, error: unknown): void {
    if (this.stream !== stream) return;
    this.stream = undefined;
    stream.cancel();
    this.goOn();
    this.failed(error);
  }

  private failed(error: unknown): void {
    this.isConnected = false;
    this.attempts++;
    this.failure = { at: this.options.ports.clock.now(), error };
    this.replicaIndex++;
    this.options.owner.onError(this, error);
    if (this.isDone) return;
    // The next replica at once; only when all of them failed, a pause.
    const replicas = this.options.owner.addressesOf(this.logStreamId).length;
    const pauseMs = this.attempts < replicas ? 0 : this.backoff.nextMs();
    this.timer = this.options.ports.clock.after(pauseMs, () => {
      if (!this.isDone) this.open();
    });
  }
}
