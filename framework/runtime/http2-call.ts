import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { type StatusObject, status } from '@grpc/grpc-js';
import { MESSAGE_BYTES_MAX } from '../base/index.ts';
import { toStatus } from './grpc-error.ts';
import { GrpcFrameReader } from './grpc-frame-reader.ts';
import { writeAll } from './grpc-shortcut.ts';
import type { GrpcCall } from './grpc-stream.ts';
import { hostTimers } from './host-timers.ts';

const RESPONSE: OutgoingHttpHeaders = {
  ':status': 200,
  'content-type': 'application/grpc+proto',
};
const WITH_TRAILERS = { waitForTrailers: true } as const;
const DONE: Partial<StatusObject> = { code: status.OK };

/** The units of gRPC's deadlines, in milliseconds. */
const UNITS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000001,
};

type Listener = (value?: unknown) => void;

/**
 * One call of gRPC at the server, right on its stream of HTTP/2. It tells `data`
 * for each message of the peer, `end` when the peer has ended its side, `error` when a message is refused, and
 * `cancelled` when the call ended before its status was given.
 */
export class Http2Call implements GrpcCall {
  private readonly stream: ServerHttp2Stream;
  private readonly reader = new GrpcFrameReader(MESSAGE_BYTES_MAX);
  private readonly listeners: { readonly event: string; readonly listener: Listener }[] = [];
  private readonly deadline: NodeJS.Timeout | undefined;
  /** Messages that came and were not told, from `next` on. */
  private queue: readonly Buffer[] = [];
  private next = 0;
  private paused = false;
  private peerEnded = false;
  private responded = false;
  private over = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.stream = stream;
    // Whatever it is, the stream is closed by it.
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => this.take(chunk));
    stream.on('end', () => this.ended());
    stream.on('close', () => this.closed());
    const timeout = headers['grpc-timeout'];
    if (typeof timeout === 'string') this.deadline = this.limit(timeout);
  }

  /** Whether its status was given, or cannot be given any more. */
  get isOver(): boolean {
    return this.over;
  }

  /** Bytes that were written and not taken by the connection. */
  get writableLength(): number {
    return this.stream.writableLength;
  }

  get peer(): string {
    const { remoteAddress, remotePort } = this.stream.session?.socket ?? {};
    return remoteAddress === undefined ? 'unknown' : `${remoteAddress}:${remotePort}`;
  }

  on(event: string, listener: (...values: never[]) => void): void {
    this.listeners.push({ event, listener: listener as Listener });
  }

  /** Waits for the one request of a call that sends no more, and runs `proceed` with it. */
  whenAsked(proceed: (request: Buffer) => void): void {
    let request: Buffer | undefined;
    let isServed = false;
    const refuse = (details: string): void => this.refuse({ code: status.UNIMPLEMENTED, details });
    this.on('data', (message: Buffer) => {
      if (request !== undefined) refuse('a second request message where there is one only');
      request ??= message;
    });
    this.on('end', () => {
      if (isServed || this.over) return;
      isServed = true;
      if (request === undefined) refuse('no request message');
      else proceed(request);
    });
  }

  /**
   * Sends the headers, before there is an answer. Until they come, a client keeps what it sends, because it may have
   * to send it again (gRFC A6); one that is never answered would keep it as long as the stream lives.
   */
  respond(): void {
    if (this.responded || this.isGone()) return;
    this.responded = true;
    this.stream.respond(RESPONSE, WITH_TRAILERS);
  }

  /** Sends messages, each with its prefix, in pieces that follow each other. */
  writeFrames(pieces: readonly Uint8Array[], written: () => void): void {
    if (this.isGone()) return;
    this.respond();
    writeAll(this.stream, pieces, written);
  }

  /** All is well, and nothing more comes. */
  end(): void {
    this.refuse(DONE);
  }

  /** Ends it with a status, behind all that was written. */
  refuse(ended: Partial<StatusObject>): void {
    if (this.over) return;
    this.over = true;
    hostTimers.clearTimeout(this.deadline as NodeJS.Timeout);
    const { stream } = this;
    if (stream.destroyed || stream.closed) return;
    const trailers = trailersOf(ended);
    if (this.responded) {
      stream.once('wantTrailers', () => stream.sendTrailers(trailers));
      stream.end();
    } else {
      stream.respond({ ...RESPONSE, ...trailers }, { endStream: true });
    }
    // What the peer still sends is of no use.
    stream.resume();
  }

  /** Ends it without waiting for a reader, who may never come back for what was written. */
  reset(): void {
    this.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  pause(): void {
    this.paused = true;
    this.stream.pause();
  }

  resume(): void {
    this.paused = false;
    this.deliver();
    if (!this.paused) this.stream.resume();
  }

  private isGone(): boolean {
    return this.over || this.stream.destroyed || this.stream.closed;
  }

  private take(chunk: Buffer): void {
    if (this.over) return;
    try {
      const messages = this.reader.push(chunk);
      if (messages.length === 0) return;
      this.queue =
        this.next === this.queue.length ? messages : [...this.queue.slice(this.next), ...messages];
      this.next = 0;
    } catch (error) {
      this.refuse(toStatus(error));
      this.tell('cancelled');
      return;
    }
    this.deliver();
  }

  private deliver(): void {
    while (!this.paused && this.next < this.queue.length) {
      this.tell('data', this.queue[this.next++]);
    }
    if (this.paused || !this.peerEnded) return;
    this.peerEnded = false;
    this.tell('end');
  }

  private ended(): void {
    this.peerEnded = true;
    this.deliver();
  }

  private closed(): void {
    if (this.over) return;
    this.over = true;
    hostTimers.clearTimeout(this.deadline as NodeJS.Timeout);
    this.tell('cancelled');
  }

  private limit(timeout: string): NodeJS.Timeout | undefined {
    const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(timeout) ?? [];
    if (digits === undefined) {
      this.refuse({
        code: status.INTERNAL,
        details: `Invalid grpc-timeout value "${timeout.slice(0, 20)}"`,
      });
      return undefined;
    }
    const ms = Math.min(Number(digits) * UNITS[unit!]!, 2 ** 31 - 1);
    return hostTimers.setTimeout(() => {
      this.refuse({ code: status.DEADLINE_EXCEEDED, details: 'Deadline exceeded' });
      this.tell('cancelled');
    }, ms);
  }

  private tell(event: string, value?: unknown): void {
    // Those that begin to listen by it hear of the next one.
    const { length } = this.listeners;
    for (let i = 0; i < length; i++) {
      const it = this.listeners[i]!;
      if (it.event === event) it.listener(value);
    }
  }
}

function trailersOf({ code, details, metadata }: Partial<StatusObject>): OutgoingHttpHeaders {
  if (code === status.OK) return { 'grpc-status': 0 };
  return {
    'grpc-status': code ?? status.UNKNOWN,
    'grpc-message': encodeURI(details ?? ''),
    ...metadata?.toHttp2Headers(),
  };
}
