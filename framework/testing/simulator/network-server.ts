import { type Handler, runHandler, ServerContext, VarlogError } from '../../base/index.ts';
import type { ConnectionEnd } from './network-connection.ts';
import { cancelled, type Frame, toWire } from './network-frame.ts';
import { encodeBounded, SimulatedStream } from './network-stream.ts';

interface ServerCall {
  readonly context: ServerContext;
  readonly stream: SimulatedStream<unknown, unknown> | undefined;
}

/** The server's side of one connection: runs the handlers. */
export class ServerConnection {
  private readonly end: ConnectionEnd;
  private readonly handlers: ReadonlyMap<string, Handler>;
  private readonly peer: string;
  private readonly windowBytes: number;
  private readonly calls = new Map<number, ServerCall>();
  private readonly onGone: () => void;

  constructor(options: {
    end: ConnectionEnd;
    handlers: ReadonlyMap<string, Handler>;
    peer: string;
    windowBytes: number;
    onGone: () => void;
  }) {
    this.end = options.end;
    this.handlers = options.handlers;
    this.peer = options.peer;
    this.windowBytes = options.windowBytes;
    this.onGone = options.onGone;
    this.end.onFrame = (frame) => this.take(frame);
    this.end.onBroken = () => this.gone();
  }

  close(): void {
    this.end.close();
    this.gone();
  }

  private gone(): void {
    this.onGone();
    for (const call of [...this.calls.keys()]) this.cancel(call);
  }

  private take(frame: Frame): void {
    if (frame.kind === 'start') {
      this.start(frame);
      return;
    }
    if (!('call' in frame)) return;
    const stream = this.calls.get(frame.call)?.stream;
    if (frame.kind === 'reset') this.cancel(frame.call);
    else if (frame.kind === 'message') stream?.arrived(frame.bytes);
    else if (frame.kind === 'credit') stream?.credited(frame.bytes);
    else if (frame.kind === 'end') stream?.peerEnded();
  }

  private cancel(id: number): void {
    const call = this.calls.get(id);
    if (call === undefined) return;
    this.calls.delete(id);
    call.stream?.fail(cancelled());
    call.context.end();
  }

  private start({ call, path, cluster, request }: Frame & { kind: 'start' }): void {
    const handler = this.handlers.get(path);
    if (handler === undefined) {
      const error = new VarlogError('UNIMPLEMENTED', { what: `${path} is not served here` });
      this.end.send({ kind: 'status', call, error: toWire(error) });
      return;
    }
    const { method } = handler;
    const run = handler.run as (...given: unknown[]) => Promise<unknown>;
    const context = new ServerContext({ peer: this.peer, cluster });
    if (method.kind === 'unary') {
      this.calls.set(call, { context, stream: undefined });
      runHandler(
        async () =>
          encodeBounded(method.response, await run(method.request.decode(request!), context)),
        (response) => this.finish(call, { kind: 'status', call, response }),
        (error) => this.finish(call, { kind: 'status', call, error: toWire(error) }),
      );
      return;
    }
    const stream = this.stream(call, method, context);
    this.calls.set(call, { context, stream });
    runHandler(
      () =>
        method.kind === 'bidi'
          ? run(stream, context)
          : run(method.request.decode(request!), stream, context),
      () => {
        stream.finish();
        stream.end();
      },
      (error) => {
        stream.fail(error);
        this.finish(call, { kind: 'status', call, error: toWire(error) });
      },
    );
  }

  private stream(
    call: number,
    method: Handler['method'],
    context: ServerContext,
  ): SimulatedStream<unknown, unknown> {
    const stream = new SimulatedStream<unknown, unknown>(method.response, method.request, {
      message: (bytes) => this.end.send({ kind: 'message', call, bytes }),
      credit: (bytes) => this.end.send({ kind: 'credit', call, bytes }),
      end: () => this.finish(call, { kind: 'status', call }),
      abort: (error) => {
        if (VarlogError.is(error, 'CANCELLED')) this.finish(call, { kind: 'reset', call });
        else this.finish(call, { kind: 'status', call, error: toWire(error) });
      },
      overAtPeersEnd: false,
      windowBytes: this.windowBytes,
    });
    stream.closed.catch(() => context.end());
    return stream;
  }

  /** The last that is said of a call. */
  private finish(call: number, frame: Frame): void {
    if (this.calls.delete(call)) this.end.send(frame);
  }
}
