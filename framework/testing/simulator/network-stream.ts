import {
  type Codec,
  MESSAGE_BYTES_MAX,
  type MessageStream,
  VarlogError,
  Waiters,
} from '../../base/index.ts';
import { cancelled, wireBytes } from './network-frame.ts';

/** Share of the window that is handled before the sender is told. */
const TOLD_AT_ONCE = 0.25;

/** How the two ends of a stream differ, and what they have to say to the other. */
export interface StreamEnd {
  message(bytes: Uint8Array): void;
  /** So many bytes were handled here. */
  credit(bytes: number): void;
  end(): void;
  abort(error: unknown): void;
  /** Whether the call is over as soon as the peer has ended its side: so it is for the client. */
  readonly overAtPeersEnd: boolean;
  /** Undelivered bytes from which on the sender is asked to wait. */
  readonly windowBytes: number;
}

interface Settle {
  resolve(): void;
  reject(error: unknown): void;
}

export class SimulatedStream<Out, In> implements MessageStream<Out, In> {
  readonly closed: Promise<void>;
  private readonly out: Codec<Out>;
  private readonly in: Codec<In>;
  private readonly side: StreamEnd;
  private settle!: Settle;
  private handler: ((message: In) => void | Promise<void>) | undefined;
  private inbox: Uint8Array[] = [];
  private handling = false;
  /** Nothing more will be received: the peer has ended its side, or the stream broke. */
  private done = false;
  /** What is to happen once all that was received has been handled. */
  private afterAll: (() => void) | undefined;
  /** Why nothing more can be sent. */
  private unwritable: unknown;
  private unhandledBytes = 0;
  /** Handled here, and not told yet. */
  private untoldBytes = 0;
  /** For room to send. */
  private readonly waiters = new Waiters<void>();

  constructor(out: Codec<Out>, incoming: Codec<In>, side: StreamEnd) {
    this.out = out;
    this.in = incoming;
    this.side = side;
    this.closed = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    // Ignoring `closed` is allowed.
    this.closed.catch(() => {});
  }

  send(message: Out): boolean {
    if (this.unwritable !== undefined) return false;
    let bytes: Uint8Array;
    try {
      bytes = encodeBounded(this.out, message);
    } catch (error) {
      this.breakWith(error);
      return false;
    }
    this.unhandledBytes += wireBytes(bytes);
    this.side.message(bytes);
    return this.unhandledBytes < this.side.windowBytes;
  }

  writable(): Promise<void> {
    if (this.unwritable !== undefined) return Promise.reject(this.unwritable);
    if (this.unhandledBytes < this.side.windowBytes) return Promise.resolve();
    return this.waiters.wait(undefined);
  }

  receive(handler: (message: In) => void | Promise<void>): void {
    this.handler = handler;
    this.pump();
  }

  end(): void {
    if (this.unwritable !== undefined) return;
    this.stopSending(
      new VarlogError('CLOSED', { what: 'nothing can be sent after the end of the stream' }),
    );
    this.side.end();
  }

  cancel(): void {
    this.breakWith(cancelled());
  }

  /** Ends both directions; this end sees `error`, as does the peer if this is the server. */
  breakWith(error: unknown): void {
    if (this.done && (this.side.overAtPeersEnd || this.unwritable !== undefined)) return;
    this.fail(error);
    this.side.abort(error);
  }

  /** The stream broke; the peer knows it. */
  fail(error: unknown): void {
    this.stopSending(error);
    if (this.done) return;
    this.done = true;
    this.unwritable = error;
    this.inbox = [];
    this.settle.reject(error);
  }

  arrived(bytes: Uint8Array): void {
    if (this.done) return;
    this.inbox.push(bytes);
    this.pump();
  }

  credited(bytes: number): void {
    this.unhandledBytes -= bytes;
    if (this.unhandledBytes >= this.side.windowBytes) return;
    this.waiters.resolve(() => true);
  }

  /** The peer has ended its side; with an error, it broke the stream after what it sent. */
  peerEnded(error?: VarlogError): void {
    this.afterAll = error === undefined ? () => this.finish() : () => this.fail(error);
    // Who does not listen has nothing to be waited for.
    if (this.handler === undefined) this.inbox = [];
    this.pump();
  }

  /** Nothing more comes from the peer; at the server also: the handler has ended the call. */
  finish(): void {
    if (this.done) return;
    this.done = true;
    if (this.side.overAtPeersEnd) {
      this.stopSending(new VarlogError('CLOSED', { what: 'the peer has ended the stream' }));
    }
    this.settle.resolve();
  }

  private pump(): void {
    while (!this.done && !this.handling && this.handler !== undefined && this.inbox.length > 0) {
      this.take(this.handler, this.inbox.shift()!);
    }
    if (!this.done && !this.handling && this.inbox.length === 0) this.afterAll?.();
  }

  private take(handler: (message: In) => void | Promise<void>, bytes: Uint8Array): void {
    try {
      const pending = handler(this.in.decode(bytes));
      if (pending === undefined) {
        this.handled(bytes);
        return;
      }
      this.handling = true;
      pending.then(
        () => {
          this.handling = false;
          if (!this.done) this.handled(bytes);
          this.pump();
        },
        (error) => this.breakWith(error),
      );
    } catch (error) {
      this.breakWith(error);
    }
  }

  /** The sender hears of it before it has to wait, and not of each message, as with HTTP/2. */
  private handled(bytes: Uint8Array): void {
    this.untoldBytes += wireBytes(bytes);
    if (this.untoldBytes < this.side.windowBytes * TOLD_AT_ONCE) return;
    this.side.credit(this.untoldBytes);
    this.untoldBytes = 0;
  }

  private stopSending(error: unknown): void {
    this.unwritable ??= error;
    this.waiters.stop(error);
  }
}

/** Refuses what is too large with `RESOURCE_EXHAUSTED`. */
export function encodeBounded<T>(codec: Codec<T>, message: T): Uint8Array {
  const bytes = codec.encode(message);
  if (bytes.length <= MESSAGE_BYTES_MAX) return bytes;
  throw new VarlogError('RESOURCE_EXHAUSTED', {
    what: `a message of ${bytes.length} bytes is larger than ${MESSAGE_BYTES_MAX}`,
  });
}
