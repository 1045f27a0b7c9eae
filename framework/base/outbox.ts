import type { Clock } from './clock.ts';
import type { MessageStream } from './network.ts';
import { OncePerTurn } from './once-per-turn.ts';

/** The part of a stream that takes messages. */
export type Outlet<Message> = Pick<MessageStream<Message, never>, 'send' | 'writable'>;

/**
 * When to send: once a turn, what gathered in it, and not while the stream is not writable. What gathers, and how much of it
 * is kept meanwhile, is up to the owner, in whose `flush` it leaves through {@link send}.
 *
 * - `flush` runs at the end of a turn in which {@link schedule} was called, and as soon as a stream that was full
 *   has room; never while one is.
 * - It is for one stream at a time. When that one is over, the owner calls {@link unblock}: nobody else says so.
 */
export class Outbox<Message> {
  private readonly flush: () => void;
  private readonly turn: OncePerTurn;
  /** The stream that is not writable now. */
  private behind: Outlet<Message> | undefined;

  constructor(clock: Pick<Clock, 'defer'>, flush: () => void) {
    this.flush = flush;
    this.turn = new OncePerTurn(clock, () => {
      if (this.behind === undefined) flush();
    });
  }

  /** Whether the stream is not writable: what gathers now has to wait. */
  get isBlocked(): boolean {
    return this.behind !== undefined;
  }

  /** Has what gathered leave with the rest of this turn, or as soon as there is room. */
  schedule(): void {
    if (this.behind === undefined) this.turn.schedule();
  }

  /** Sends a message; the stream always takes it. Returns whether it has room for another one. */
  send(stream: Outlet<Message>, message: Message): boolean {
    if (stream.send(message)) return true;
    this.behind = stream;
    stream.writable().then(
      () => {
        if (this.behind !== stream) return;
        this.behind = undefined;
        this.flush();
      },
      // Whoever opened the stream hears of its end, and unblocks.
      () => {},
    );
    return false;
  }

  /** The stream is over: the next message goes to another one. */
  unblock(): void {
    this.behind = undefined;
  }
}
