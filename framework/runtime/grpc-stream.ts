import { type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { type Codec, type MessageStream, VarlogError, Waiters } from '../base/index.ts';
import { serializer } from './grpc-codec.ts';
import { GrpcFrames } from './grpc-frames.ts';
import type { Shortcut } from './grpc-shortcut.ts';

/** What the streams of grpc-js have in common on either end, as far as it is used here. */
export interface GrpcCall {
  write?(message: Buffer, written: () => void): boolean;
  end?(): void;
  pause?(): void;
  resume?(): void;
  readonly writableNeedDrain?: boolean;
  readonly readableLength?: number;
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
  /** Looks for a way for messages past grpc-js. */
  shortcut?(): Shortcut | undefined;
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
  private readonly encode: (message: Out) => Buffer;
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
  private shortcut: Shortcut | undefined;
  /** All that is sent goes by the shortcut. */
  private sendsShort = false;
  /** Messages that were sent in one go, for one write by the shortcut. */
  private readonly frames: GrpcFrames<Out>;
  private flushDue = false;
  /** Where messages come from. */
  private source: Pick<GrpcCall, 'pause' | 'resume'>;
  /** What has come by the shortcut while a receiver's promise was pending. */
  private held: Uint8Array[] = [];

  constructor(call: GrpcCall, incoming: Codec<In>, outgoing: Codec<Out>, side: CallEnd) {
    this.call = call;
    this.source = call;
    this.incoming = incoming;
    this.encode = serializer(outgoing);
    this.frames = new GrpcFrames(outgoing);
    this.side = side;
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
    if (this.sendsShort || this.shorten()) {
      try {
        this.unsentBytes += this.frames.add(message);
      } catch (error) {
        if (!VarlogError.is(error, 'RESOURCE_EXHAUSTED')) throw error;
        this.breakWith(error);
        return false;
      }
      this.join();
    } else {
      const encoded = this.encode(message);
      this.unsentBytes += encoded.length;
      this.call.write!(encoded, () => this.written(encoded.length));
    }
    return !this.isFull;
  }

  writable(): Promise<void> {
    if (this.unwritable !== undefined) return Promise.reject(this.unwritable);
    if (!this.isFull) return Promise.resolve();
    return this.waiters.wait(undefined);
  }

  receive(handler: (message: In) => void | Promise<void>): void {
    const broke = (error: unknown): void => this.breakWith(error);
    const handle = (bytes: Uint8Array): void => {
      if (this.done) return;
      try {
        const pending = handler(this.incoming.decode(bytes));
        if (pending === undefined) return;
        this.handling = true;
        this.source.pause!();
        pending.then(handled, broke);
      } catch (error) {
        broke(error);
      }
    };
    const handled = (): void => {
      this.handling = false;
      while (!this.handling && this.held.length > 0) handle(this.held.shift()!);
      if (this.handling) return;
      if (this.peerEnded) this.finish();
      else this.source.resume!();
    };
    const deliver = (bytes: Uint8Array): void => {
      if (!this.handling) {
        handle(bytes);
        return;
      }
      this.held.push(bytes);
      this.source.pause!();
    };
    let isFirst = true;
    this.call.on('data', (bytes: Uint8Array) => {
      // It shows that there is a stream, and where it lies in the call.
      const mayDivert = isFirst && this.call.readableLength === 0;
      isFirst = false;
      handle(bytes);
      if (mayDivert) this.divert(deliver);
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

  /** Whether all that is sent may go by the shortcut from now on. */
  private shorten(): boolean {
    if (this.unsentBytes > 0) return false;
    this.shortcut ??= this.side.shortcut?.();
    this.sendsShort = this.shortcut?.isClear === true;
    return this.sendsShort;
  }

  private divert(deliver: (bytes: Uint8Array) => void): void {
    this.shortcut ??= this.side.shortcut?.();
    const incoming = this.shortcut?.incoming;
    if (incoming === undefined) return;
    this.source = incoming;
    if (this.handling) {
      incoming.pause();
      // Nothing comes this way any more but the end.
      this.call.resume!();
    }
    incoming.divert(deliver);
  }

  private written(bytes: number): void {
    this.unsentBytes -= bytes;
    if (this.waiters.size > 0) this.drained();
  }

  private join(): void {
    if (this.frames.isFull) {
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
    if (this.frames.isEmpty) return;
    const { bytes } = this.frames;
    this.shortcut!.write(this.frames.take(), () => this.written(bytes));
  }

  private ended(): void {
    this.peerEnded = true;
    if (!this.handling && this.held.length === 0) this.finish();
  }

  private fail(error: unknown): void {
    this.stopSending(error);
    if (this.done) return;
    this.done = true;
    this.held = [];
    this.unwritable = error;
    this.settle.reject(error);
  }

  private stopSending(error: unknown): void {
    this.unwritable ??= error;
    this.waiters.stop(error);
  }

  private get isFull(): boolean {
    const isBehind = !this.sendsShort && this.call.writableNeedDrain === true;
    return isBehind || this.unsentBytes >= UNSENT_BYTES_MAX;
  }

  private drained(): void {
    if (this.isFull) return;
    this.waiters.resolve(() => true);
  }
}
