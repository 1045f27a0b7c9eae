import {
  type Clock,
  type LogStreamId,
  type MessageStream,
  Outbox,
  SequenceMap,
  type Timer,
  type TopicId,
  VarlogError,
} from '../../base/index.ts';
import {
  AppendBatch,
  AppendRequest,
  type AppendResponse,
  type AppendResult,
  LogStreams,
} from '../../wire/gen/log.ts';
import type { AppendCondition } from '../core/index.ts';
import { LOG_TIMES } from '../timing.ts';
import type { ReceiptTimer } from './append-receipt.ts';
import type { ClientChannels } from './client-channels.ts';
import { conditionToWire } from './expectation.ts';
import { failureToError } from './wire-failure.ts';

/** One message holds batches of about so many bytes, unless a single one is larger. */
const MESSAGE_BYTES = 1024 * 1024;

/** A stream that breaks by one of these was refused, or never came to be. */
const NOTHING_DONE: ReadonlySet<string> = new Set([
  'CLUSTER_MISMATCH',
  'UNAUTHENTICATED',
  'UNIMPLEMENTED',
  'UNREACHABLE',
]);

/** A batch on its way to one primary. */
export interface Sending {
  readonly topicId: TopicId;
  readonly logStreamId: LogStreamId;
  readonly count: number;
  readonly bytes: Uint8Array;
  /** What has to hold when the primary takes it. */
  readonly condition: AppendCondition | undefined;
  /** Where somebody asked where the time goes. */
  readonly timer: ReceiptTimer | undefined;
  /** Acknowledged. */
  succeeded(result: AppendResult): void;
  /** `certain`: it is not in the log and never will be, by this attempt. */
  failed(error: unknown, certain: boolean): void;
}

interface Sent {
  readonly sending: Sending;
  readonly at: number;
}

/**
 * The stream of appends to one storage node. What is handed over in one turn leaves in one message;
 * while the connection is not writable, the next message gathers.
 */
export class AppendLink {
  readonly address: string;
  private readonly clock: Clock;
  private readonly channels: ClientChannels;
  private readonly suspected: (link: AppendLink) => void;
  private stream: MessageStream<AppendRequest, AppendResponse> | undefined;
  private readonly waiting = new SequenceMap<Sending>();
  /** In the order of sending: the first is the oldest. */
  private readonly sent = new SequenceMap<Sent>();
  private readonly outbox: Outbox<AppendRequest>;
  private watch: Timer | undefined;

  /** `suspected` is called while an answer is overdue, again and again. */
  constructor(
    clock: Clock,
    channels: ClientChannels,
    address: string,
    suspected: (link: AppendLink) => void,
  ) {
    this.clock = clock;
    this.channels = channels;
    this.address = address;
    this.suspected = suspected;
    this.outbox = new Outbox(clock, () => this.flush());
  }

  /** Returns a ticket, by which it can be asked for and taken back. */
  add(sending: Sending): number {
    const ticket = this.waiting.add(sending);
    this.outbox.schedule();
    return ticket;
  }

  isWaiting(ticket: number): boolean {
    return this.waiting.has(ticket);
  }

  /** Takes it back if it was not sent yet. */
  takeBack(ticket: number): void {
    this.waiting.delete(ticket);
  }

  /** Whether an answer is overdue. */
  get isSuspect(): boolean {
    const oldest = this.sent.firstKey;
    if (oldest === undefined) return false;
    return this.clock.now() - this.sent.get(oldest)!.at >= LOG_TIMES.suspectPrimaryAfterMs;
  }

  /** Gives up on overdue answers for log streams that have another primary by now. */
  abandon(isElsewhere: (logStreamId: LogStreamId) => boolean): void {
    const overdue = this.clock.now() - LOG_TIMES.suspectPrimaryAfterMs;
    for (const [sequence, { sending, at }] of this.sent) {
      if (at > overdue) break;
      if (!isElsewhere(sending.logStreamId)) continue;
      this.sent.delete(sequence);
      const what = `log stream ${sending.logStreamId} was given another primary while ${this.address} owed the answer`;
      sending.failed(new VarlogError('UNAVAILABLE', { what }), false);
    }
  }

  /** Ends the stream; what has no answer fails with `error`. */
  close(error: unknown): void {
    this.watch?.cancel();
    this.watch = undefined;
    const { stream } = this;
    this.stream = undefined;
    stream?.cancel();
    this.failAll(error, false);
  }

  private flush(): void {
    if (this.waiting.size === 0) return;
    const stream = this.stream ?? this.open();
    let room = true;
    while (room && this.waiting.size > 0) {
      room = this.outbox.send(stream, this.nextMessage());
    }
    this.keepWatch();
  }

  private nextMessage(): AppendRequest {
    const batches: AppendBatch[] = [];
    const at = this.clock.now();
    let size = 0;
    for (const [ticket, sending] of this.waiting) {
      if (size > 0 && size + sending.bytes.length > MESSAGE_BYTES) break;
      size += sending.bytes.length;
      this.waiting.delete(ticket);
      const sequence = this.sent.add({ sending, at });
      sending.timer?.sent(at);
      batches.push(toMessage(sequence, sending));
    }
    return AppendRequest.create({ batches });
  }

  private open(): MessageStream<AppendRequest, AppendResponse> {
    const stream = this.channels.to(this.address).open(LogStreams.Append);
    this.stream = stream;
    stream.receive((response) => this.receive(response));
    const ended = new VarlogError('UNAVAILABLE', {
      what: `the storage node at ${this.address} ended the stream of appends`,
    });
    stream.closed.then(
      () => this.broken(stream, ended),
      (error: unknown) => this.broken(stream, error),
    );
    return stream;
  }

  private receive({ results }: AppendResponse): void {
    for (const result of results) {
      const found = this.sent.get(result.sequence);
      if (found === undefined) continue;
      this.sent.delete(result.sequence);
      if (result.failure === null) {
        found.sending.succeeded(result);
      } else {
        const certain = result.failure.outcome === 'notAppended';
        found.sending.failed(failureToError(result.failure), certain);
      }
    }
  }

  private broken(stream: MessageStream<AppendRequest, AppendResponse>, error: unknown): void {
    if (this.stream !== stream) return;
    this.stream = undefined;
    this.outbox.unblock();
    stream.cancel();
    // A batch that is refused has an answer of its own: a stream that is refused was refused before any was read.
    const nothingDone =
      VarlogError.is(error) && (NOTHING_DONE.has(error.code) || error.outcome === 'notAppended');
    this.failAll(error, nothingDone);
  }

  private failAll(error: unknown, neverSent: boolean): void {
    const sent = [...this.sent.values()];
    const waiting = [...this.waiting.values()];
    this.sent.clear();
    this.waiting.clear();
    for (const { sending } of sent) sending.failed(error, neverSent);
    for (const sending of waiting) sending.failed(error, true);
  }

  /** A timer only while answers are owed; nothing that goes well waits for it. */
  private keepWatch(): void {
    if (this.watch !== undefined || this.sent.size === 0) return;
    const waitMs = this.isSuspect ? LOG_TIMES.lookUpAgainMs : LOG_TIMES.suspectPrimaryAfterMs;
    this.watch = this.clock.after(waitMs, () => {
      this.watch = undefined;
      if (this.isSuspect) this.suspected(this);
      this.keepWatch();
    });
  }
}

function toMessage(sequence: number, sending: Sending): AppendBatch {
  const { topicId, logStreamId, count, bytes: records, condition, timer } = sending;
  const batch = AppendBatch.create({ sequence, topicId, logStreamId, records });
  if (condition === undefined) batch.count = count;
  else batch.condition = conditionToWire(condition, count);
  if (timer !== undefined) batch.receipt = true;
  return batch;
}
