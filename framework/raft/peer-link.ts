import { type Channel, type Clock, type MessageStream, Outbox } from '../base/index.ts';
import { type Nothing, Parcel } from '../wire/gen/raft.ts';
import { costOf, type Message } from './core/index.ts';
import { toWire } from './message-codec.ts';
import type { RaftMethods } from './methods.ts';
import { RAFT_TIMES } from './timing.ts';

/**
 * The way of messages to one other member: one stream, opened when there is something to say. What
 * cannot be sent is dropped and reported: the protocol repeats what matters.
 */
export class PeerLink {
  readonly channel: Channel;
  private readonly clock: Clock;
  private readonly method: RaftMethods['exchange'];
  private readonly hello: () => NonNullable<Parcel['hello']>;
  private readonly queuedBytesMax: number;
  private readonly onLost: () => void;
  private readonly onDisconnected: (error: unknown) => void;
  private stream: MessageStream<Parcel, Nothing> | undefined;
  private queued: Message[] = [];
  private queuedBytes = 0;
  private greeted = false;
  /** The group that the other member was told. */
  private identity = '';
  private readonly outbox: Outbox<Parcel>;
  private closed = false;
  private reopenAt = 0;

  constructor(options: {
    clock: Clock;
    channel: Channel;
    method: RaftMethods['exchange'];
    /** How this member presents itself at the beginning of a stream. */
    hello: () => NonNullable<Parcel['hello']>;
    /** Beyond this many bytes that the connection does not take, messages are dropped. */
    queuedBytesMax: number;
    /** Messages were dropped. */
    onLost: () => void;
    /** The connection ended. */
    onDisconnected: (error: unknown) => void;
  }) {
    this.clock = options.clock;
    this.outbox = new Outbox(options.clock, () => this.flush());
    this.channel = options.channel;
    this.method = options.method;
    this.hello = options.hello;
    this.queuedBytesMax = options.queuedBytesMax;
    this.onLost = options.onLost;
    this.onDisconnected = options.onDisconnected;
  }

  /** Whether the other member has been told who speaks. */
  get isOpen(): boolean {
    return this.stream !== undefined && this.greeted;
  }

  /** Takes a message; it leaves with the others of this turn at {@link flush}. */
  post(message: Message): void {
    if (this.closed) return;
    let bytes = 64;
    if (message.type === 'append') for (const batch of message.batches) bytes += costOf(batch);
    this.queued.push(message);
    this.queuedBytes += bytes;
  }

  flush(): void {
    if (this.queued.length === 0 || this.closed) return;
    if (this.outbox.isBlocked) {
      if (this.queuedBytes > this.queuedBytesMax) this.drop();
      return;
    }
    const stream = this.stream ?? this.open();
    if (stream === undefined) {
      this.drop();
      return;
    }
    const messages = this.queued.map(toWire);
    this.queued = [];
    this.queuedBytes = 0;
    const hello = this.hello();
    // Once more when this member has learned which group it belongs to.
    const known = this.greeted && this.identity === hello.identity;
    const parcel = known ? { messages } : { hello, messages };
    this.greeted = true;
    this.identity = hello.identity;
    this.outbox.send(stream, Parcel.create(parcel));
  }

  close(): void {
    this.closed = true;
    this.stream?.cancel();
    this.stream = undefined;
    this.queued = [];
    this.channel.close();
  }

  private open(): MessageStream<Parcel, Nothing> | undefined {
    const now = this.clock.now();
    if (now < this.reopenAt) return undefined;
    this.reopenAt = now + RAFT_TIMES.reopenMs;
    const stream = this.channel.open(this.method);
    stream.receive(() => {});
    const ended = (error?: unknown): void => {
      if (this.stream !== stream) return;
      this.stream = undefined;
      this.outbox.unblock();
      this.drop();
      if (!this.closed) this.onDisconnected(error);
    };
    stream.closed.then(ended, ended);
    this.stream = stream;
    this.greeted = false;
    return stream;
  }

  private drop(): void {
    this.queued = [];
    this.queuedBytes = 0;
    if (!this.closed) this.onLost();
  }
}
