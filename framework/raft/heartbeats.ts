import {
  type BidiMethod,
  type Channel,
  type Clock,
  type Handler,
  handler,
  type MessageStream,
  type Network,
  OncePerTurn,
  Outbox,
} from '../base/index.ts';
import { type Beat, Beats, Nothing } from '../wire/gen/raft.ts';
import { bidi } from '../wire/message.ts';
import type { Message } from './core/index.ts';
import { fromWire, toWire } from './message-codec.ts';
import { RAFT_TIMES } from './timing.ts';

const EXCHANGE: BidiMethod<Beats, Nothing> = bidi('varlog.raft.Host', 'Beat', Beats, Nothing);

/** An address that nothing went to for so long is let go of: members move, and groups end. */
const UNUSED_MS = 60_000;

/** Takes a message of one who says that its group is `identity`. */
type Take = (message: Message, identity: string) => void;

/**
 * Carries the heartbeats of all groups between two processes, and their answers, in one message per turn: many quiet
 * groups then cost hardly more than one (CockroachDB's coalesced heartbeats, and TiKV's). What cannot be sent is
 * dropped: the next one follows soon.
 */
export class Heartbeats {
  /** Takes those of other processes. */
  readonly handler: Handler;
  private readonly clock: Clock;
  private readonly network: Network;
  private readonly groups = new Map<string, { memberId: number; take: Take }>();
  private readonly channels = new Map<string, HeartbeatChannel>();
  /** Messages that left, each with the heartbeats of a turn. */
  sent = 0;
  private readonly turn: OncePerTurn;
  private closed = false;

  constructor(clock: Clock, network: Network) {
    this.clock = clock;
    this.network = network;
    this.turn = new OncePerTurn(clock, () => this.flush());
    this.handler = handler(EXCHANGE, (stream) => {
      stream.receive(({ beats }) => {
        for (const beat of beats) this.deliver(beat);
      });
      return stream.closed;
    });
  }

  /** `take` gets what comes for this member, until the returned function is called. */
  join(groupId: string, memberId: number, take: Take): () => void {
    this.groups.set(groupId, { memberId, take });
    return () => {
      this.groups.delete(groupId);
    };
  }

  /** Takes a message of a member to the process at `address`; it leaves with the others of this turn. */
  post(
    sender: Pick<Beat, 'groupId' | 'identity' | 'from'>,
    address: string,
    message: Message,
  ): void {
    let channel = this.channels.get(address);
    if (channel === undefined) {
      channel = new HeartbeatChannel(this.clock, this.network.connect(address));
      this.channels.set(address, channel);
    }
    channel.take({ ...sender, to: message.to, message: toWire(message) });
    this.turn.schedule();
  }

  close(): void {
    this.closed = true;
    for (const channel of this.channels.values()) channel.close();
  }

  private flush(): void {
    if (this.closed) return;
    const now = this.clock.now();
    for (const [address, channel] of this.channels) {
      if (channel.flush()) this.sent++;
      if (now - channel.usedAt < UNUSED_MS) continue;
      channel.close();
      this.channels.delete(address);
    }
  }

  private deliver({ groupId, identity, from, to, message }: Beat): void {
    const group = this.groups.get(groupId);
    if (group?.memberId === to && message) group.take(fromWire(message, from, to), identity);
  }
}

/** The stream of heartbeats to one other process. */
class HeartbeatChannel {
  usedAt = 0;
  private queued: Beat[] = [];
  private readonly clock: Clock;
  private readonly channel: Channel;
  private stream: MessageStream<Beats, Nothing> | undefined;
  private readonly outbox: Outbox<Beats>;
  private reopenAt = 0;

  constructor(clock: Clock, channel: Channel) {
    this.clock = clock;
    this.channel = channel;
    // What could not leave in its turn was dropped: nothing waits for room.
    this.outbox = new Outbox(clock, () => {});
  }

  /** It leaves, or is dropped, with the next flush. */
  take(beat: Beat): void {
    this.usedAt = this.clock.now();
    this.queued.push(beat);
  }

  /** Whether something left. */
  flush(): boolean {
    const beats = this.queued;
    this.queued = [];
    if (beats.length === 0 || this.outbox.isBlocked) return false;
    const stream = this.stream ?? this.open();
    if (stream === undefined) return false;
    this.outbox.send(stream, Beats.create({ beats }));
    return true;
  }

  close(): void {
    this.stream?.cancel();
    this.channel.close();
  }

  private open(): MessageStream<Beats, Nothing> | undefined {
    const now = this.clock.now();
    if (now < this.reopenAt) return undefined;
    this.reopenAt = now + RAFT_TIMES.reopenMs;
    const stream = this.channel.open(EXCHANGE);
    stream.receive(() => {});
    const ended = (): void => {
      if (this.stream !== stream) return;
      this.stream = undefined;
      this.outbox.unblock();
    };
    stream.closed.then(ended, ended);
    this.stream = stream;
    return stream;
  }
}
