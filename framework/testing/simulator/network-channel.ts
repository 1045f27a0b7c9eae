import {
  type BidiMethod,
  brokenStream,
  type CallOptions,
  type Channel,
  type Clock,
  type Codec,
  type MessageStream,
  onAbort,
  type ServerStreamMethod,
  type UnaryMethod,
  VarlogError,
} from '../../base/index.ts';
import type { ConnectionEnd } from './network-connection.ts';
import { cancelled, type Frame, fromWire } from './network-frame.ts';
import { encodeBounded, SimulatedStream } from './network-stream.ts';

/** Tries to reach an address; calls back once. */
export type Dial = (
  address: string,
  opened: (end: ConnectionEnd) => void,
  failed: (because: string) => void,
) => void;

/** A call as its channel sees it. */
interface ClientCall {
  take(frame: Frame): void;
  breakWith(reason: unknown): void;
}

/** A {@link Channel} over one connection at a time. */
export class SimulatedChannel implements Channel {
  readonly address: string;
  private readonly clock: Clock;
  private readonly dial: Dial;
  private readonly windowBytes: number;
  private readonly cluster: () => string | undefined;
  private end: ConnectionEnd | undefined;
  /** What is to be sent as soon as the connection is there. */
  private outbox: Frame[] | undefined;
  private closed = false;
  private readonly calls = new Map<number, ClientCall>();
  private nextCall = 1;

  constructor(options: {
    address: string;
    clock: Clock;
    dial: Dial;
    windowBytes: number;
    cluster: () => string | undefined;
  }) {
    this.cluster = options.cluster;
    this.address = options.address;
    this.clock = options.clock;
    this.dial = options.dial;
    this.windowBytes = options.windowBytes;
  }

  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (this.refuse(options, reject)) return;
      const call = this.nextCall++;
      // An error of the codec rejects the call.
      const bytes = encodeBounded(method.request, request);
      const forget = this.begin(call, options, {
        take: (frame) => {
          if (frame.kind !== 'status') return;
          forget();
          if (frame.error !== undefined) reject(fromWire(frame.error));
          else decodeTo(method.response, frame.response!, resolve, reject);
        },
        breakWith: (reason) => {
          forget();
          reject(reason);
          this.transmit({ kind: 'reset', call });
        },
      });
      const { path } = method;
      this.transmit({ kind: 'start', call, path, cluster: this.cluster(), request: bytes });
    });
  }

  subscribe<Request, Response>(
    method: ServerStreamMethod<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): MessageStream<never, Response> {
    return this.stream(method, options, () => encodeBounded(method.request, request));
  }

  open<Request, Response>(
    method: BidiMethod<Request, Response>,
    options: CallOptions = {},
  ): MessageStream<Request, Response> {
    return this.stream(method, options);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.breakAll(this.closedError());
    this.end?.close();
    this.outbox = undefined;
  }

  private stream<Out, In>(
    method: { path: string; request: Codec<Out>; response: Codec<In> },
    options: CallOptions,
    encode?: () => Uint8Array,
  ): MessageStream<Out, In> {
    let refusal: { reason: unknown } | undefined;
    if (
      this.refuse(options, (reason) => {
        refusal = { reason };
      })
    ) {
      return brokenStream(refusal?.reason);
    }
    let request: Uint8Array | undefined;
    try {
      request = encode?.();
    } catch (error) {
      return brokenStream(error);
    }
    const call = this.nextCall++;
    const stream = new SimulatedStream<Out, In>(method.request, method.response, {
      message: (bytes) => this.transmit({ kind: 'message', call, bytes }),
      credit: (bytes) => this.transmit({ kind: 'credit', call, bytes }),
      end: () => this.transmit({ kind: 'end', call }),
      abort: () => this.transmit({ kind: 'reset', call }),
      overAtPeersEnd: true,
      windowBytes: this.windowBytes,
    });
    const forget = this.begin(call, options, {
      take: (frame) => {
        if (frame.kind === 'message') stream.arrived(frame.bytes);
        else if (frame.kind === 'credit') stream.credited(frame.bytes);
        else if (frame.kind === 'reset') stream.fail(cancelled());
        else if (frame.kind === 'status') {
          stream.peerEnded(frame.error === undefined ? undefined : fromWire(frame.error));
        }
      },
      breakWith: (reason) => stream.breakWith(reason),
    });
    stream.closed.then(forget, forget);
    const { path } = method;
    const start = { kind: 'start', call, path, cluster: this.cluster() } as const;
    this.transmit(request === undefined ? start : { ...start, request });
    return stream;
  }

  /** Says why no call can begin, if so. */
  private refuse({ signal }: CallOptions, say: (reason: unknown) => void): boolean {
    if (this.closed) say(this.closedError());
    else if (signal?.aborted) say(signal.reason);
    else return false;
    return true;
  }

  /** Remembers a call, with its limits, until the returned function is called. */
  private begin(id: number, { signal, timeoutMs }: CallOptions, call: ClientCall): () => void {
    this.calls.set(id, call);
    const timer =
      timeoutMs === undefined || timeoutMs === Infinity
        ? undefined
        : this.clock.after(timeoutMs, () => call.breakWith(this.timeoutError(timeoutMs)));
    const forget = onAbort(signal, () => call.breakWith(signal?.reason));
    return () => {
      this.calls.delete(id);
      timer?.cancel();
      forget();
    };
  }

  private transmit(frame: Frame): void {
    if (this.end !== undefined) {
      this.end.send(frame);
      return;
    }
    if (this.closed || (this.outbox === undefined && frame.kind !== 'start')) return;
    if (this.outbox !== undefined) {
      this.outbox.push(frame);
      return;
    }
    this.outbox = [frame];
    this.dial(
      this.address,
      (end) => this.opened(end),
      (because) => this.unreachable(because),
    );
  }

  private opened(end: ConnectionEnd): void {
    if (this.closed) {
      end.close();
      return;
    }
    this.end = end;
    end.onFrame = (frame) => {
      if ('call' in frame) this.calls.get(frame.call)?.take(frame);
    };
    end.onBroken = () => this.broken();
    const frames = this.outbox ?? [];
    this.outbox = undefined;
    for (const frame of frames) end.send(frame);
  }

  private broken(): void {
    this.end = undefined;
    const error = new VarlogError('UNAVAILABLE', {
      what: `the call to ${this.address} failed: the connection was closed`,
      details: { address: this.address },
    });
    this.breakAll(error);
  }

  private unreachable(because: string): void {
    this.outbox = undefined;
    this.breakAll(
      new VarlogError('UNREACHABLE', {
        what: `nothing answers at ${this.address}`,
        because,
        next: 'check that the node runs and that the address is right',
        details: { address: this.address },
      }),
    );
  }

  private breakAll(reason: unknown): void {
    for (const call of [...this.calls.values()]) call.breakWith(reason);
    this.calls.clear();
  }

  private timeoutError(timeoutMs: number): VarlogError {
    return new VarlogError('TIMEOUT', {
      what: `the call to ${this.address} failed: no answer in ${timeoutMs} ms`,
      details: { address: this.address },
    });
  }

  private closedError(): VarlogError {
    return new VarlogError('CLOSED', { what: `the channel to ${this.address} was closed here` });
  }
}

function decodeTo<T>(
  codec: Codec<T>,
  bytes: Uint8Array,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): void {
  try {
    resolve(codec.decode(bytes));
  } catch (error) {
    reject(error);
  }
}
