import { type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { type Codec, type MessageStream, VarlogError, Waiters } from '../base/index.ts';
import { serializer } from './grpc-codec.ts';
import { GrpcFrames } from './grpc-frames.ts';

/** What the streams of grpc-js have in common on either end, as far as it is used here. */
export interface GrpcCall {
  write?(message: Buffer, written: () => void): boolean;
  end?(): void;
  pause?(): void;
  resume?(): void;
  readonly writableNeedDrain?: boolean;
  on(event: string, listener: (...values: never[]) => void): unknown;
}

/**
 * Bytes that may wait to be sent before a sender is told to wait. grpc-js counts messages, 16 of them, however
 * large they are.
 */
const UNSENT_BYTES_MAX = 1024 * 1024;

/** How the two ends of a call differ. */
export interface CallEnd {
  /** Breaks the call, for the peer too. */
  abort(error: unknown): void;
  toError(failure: ServiceError | StatusObject): VarlogError;
  /** Runs `proceed` once it is sure that the peer has ended its side, and not broken the call. */
  whenEnded(proceed: () => void): void;
  /** Whether the call is over as soon as the peer has ended its side: so it is for the client. */
  readonly overAtPeersEnd: boolean;
  /** Whether the call takes frames, and so several messages at once. */
  readonly joins?: boolean;
}

interface Settle {
  resolve(): void;
  reject(error: unknown): void;
}

/** The same errors for all: every call ends in one of these ways, and mostly nobody asks for the error. */
const CANCELLED = new VarlogError('CANCELLED', { what: 'the stream was cancelled' });
const ENDED_HERE = new VarlogError('CLOSED', {
  what: 'nothing can be sent after the end of the stream',
});
const ENDED_THERE = new VarlogError('CLOSED', { what: 'the peer has ended the stream' });

/** A grpc-js call as a {@link MessageStream}. */
export class GrpcStream<Out, In> implements MessageStream<Out, In> {
  readonly closed: Promise<void>;
  private readonly call: GrpcCall;
  private readonly incoming: Codec<In>;
  private readonly outgoing: Codec<Out>;
  private readonly side: CallEnd;
  private settle!: Settle;
  /** Nothing more will be received: the peer has ended its side, or the stream broke. */
  private done = false;
  /** A receiver's promise is pending. */
  private handling = false;
  private peerEnded = false;
  /** Why nothing more can be sent. */
  private unwritable: unknown;
  /** For room to send. */
  private readonly waiters = new Waiters<void>();
  /** Given to grpc-js, and not taken by the connection yet. */
  private unsentBytes = 0;
  /** Messages that were sent in one go, for one write. */
  private readonly frames: GrpcFrames<Out> | undefined;
  private flushDue = false;

  constructor(call: GrpcCall, incoming: Codec<In>, outgoing: Codec<Out>, side: CallEnd) {
    this.call = call;
    this.incoming = incoming;
    this.outgoing = outgoing;
    this.side = side;
    this.frames = side.joins === true ? new GrpcFrames(outgoing) : undefined;
    this.closed = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    // Ignoring `closed` is allowed.
    this.closed.catch(() => {});
    call.on('drain', () => this.drained());
    call.on('end', () => this.side.whenEnded(() => this.ended()));
    // grpc-js reports a broken call, and one cancelled here, as an error event: it must have a listener.
    call.on('error', (error: ServiceError) => this.fail(this.side.toError(error)));
    call.on('cancelled', () => this.fail(CANCELLED));
    call.on('status', (ended: StatusObject) => {
      if (ended.code !== status.OK) this.fail(this.side.toError(ended));
    });
  }

  send(message: Out): boolean {
    if (this.unwritable !== undefined) return false;
    if (this.frames === undefined) {
      const bytes = serializer(this.outgoing)(message);
      this.unsentBytes += bytes.length;
      this.write(bytes, bytes.length);
    } else {
      this.unsentBytes += this.frames.add(message);
      this.join(this.frames);
    }
    return !this.isFull;
  }

  writable(): Promise<void> {
    if (this.unwritable !== undefined) return Promise.reject(this.unwritable);
    if (!this.isFull) return Promise.resolve();
    return this.waiters.wait(undefined);
  }

  receive(handler: (message: In) => void | Promise<void>): void {
    const handled = (): void => {
      this.handling = false;
      if (this.peerEnded) this.finish();
      else this.call.resume!();
    };
    const broke = (error: unknown): void => this.breakWith(error);
    this.call.on('data', (bytes: Uint8Array) => {
      if (this.done) return;
      try {
        const pending = handler(this.incoming.decode(bytes));
        if (pending === undefined) return;
        this.handling = true;
        this.call.pause!();
        pending.then(handled, broke);
      } catch (error) {
        broke(error);
      }
    });
  }

  end(): void {
    if (this.unwritable !== undefined) return;
    this.flush();
    this.stopSending(ENDED_HERE);
    this.call.end?.();
  }

  cancel(): void {
    this.breakWith(CANCELLED);
  }

  /** Ends both directions; this end sees `error`, as does the peer if this is the server. */
  breakWith(error: unknown): void {
    if (this.done && (this.side.overAtPeersEnd || this.unwritable !== undefined)) return;
    // What was sent before goes out before the status.
    if (this.unwritable === undefined) this.flush();
    this.fail(error);
    this.side.abort(error);
  }

  /** The peer has ended its side; at the server also: the handler has ended the call. */
  finish(): void {
    if (this.done) return;
    this.done = true;
    if (this.side.overAtPeersEnd) {
      this.stopSending(ENDED_THERE);
    }
    this.settle.resolve();
  }

  private write(bytes: Buffer, size: number): void {
    this.call.write!(bytes, () => {
      this.unsentBytes -= size;
      if (this.waiters.size > 0) this.drained();
    });
  }

  private join(frames: GrpcFrames<Out>): void {
    if (frames.isFull) {
      this.flush();
      return;
    }
    if (this.flushDue) return;
    this.flushDue = true;
    // Those that are sent in one go leave together, and none waits for the next turn.
    queueMicrotask(() => {
      this.flushDue = false;
      if (this.unwritable === undefined) this.flush();
    });
  }

  private flush(): void {
    const { frames } = this;
    if (frames === undefined || frames.isEmpty) return;
    const { bytes } = frames;
    this.write(frames.take(), bytes);
  }

  private ended(): void {
    this.peerEnded = true;
    if (!this.handling) this.finish();
  }

  private fail(error: unknown): void {
    this.stopSending(error);
    if (this.done) return;
    this.done = true;
    this.unwritable = error;
    this.settle.reject(error);
  }

  private stopSending(error: unknown): void {
    this.unwritable ??= error;
    this.waiters.stop(error);
  }

  private get isFull(): boolean {
    return this.call.writableNeedDrain === true || this.unsentBytes >= UNSENT_BYTES_MAX;
  }

  private drained(): void {
    if (this.isFull) return;
    this.waiters.resolve(() => true);
  }
}
