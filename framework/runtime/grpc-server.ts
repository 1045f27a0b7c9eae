import { constants, type ServerHttp2Stream } from 'node:http2';
import {
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type StatusObject,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { type CallContext, type Handler, type MessageStream, VarlogError } from '../base/index.ts';
import { CLUSTER_HEADER } from './grpc-channel.ts';
import { serializer, untouched } from './grpc-codec.ts';
import { toStatus } from './grpc-error.ts';
import { serverShortcut } from './grpc-shortcut.ts';
import { type GrpcCall, GrpcStream } from './grpc-stream.ts';
import { hostTimers } from './host-timers.ts';

type ServerStreamCall = (
  | ServerDuplexStream<unknown, unknown>
  | ServerWritableStream<unknown, unknown>
) &
  GrpcCall;

/** A service as grpc-js takes it. */
export interface GrpcService {
  readonly definition: ServiceDefinition<UntypedServiceImplementation>;
  readonly implementation: UntypedServiceImplementation;
}

/** Groups handlers by the service in their path. */
export function servicesOf(handlers: readonly Handler[]): GrpcService[] {
  const services = new Map<string, { definition: object; implementation: object }>();
  for (const { method, run } of handlers) {
    const [, service = '', name = ''] = method.path.split('/');
    const own = services.get(service) ?? { definition: {}, implementation: {} };
    services.set(service, own);
    Object.assign(own.definition, { [name]: definitionOf(method) });
    Object.assign(own.implementation, { [name]: implementationOf(method, run) });
  }
  return [...services.values()] as GrpcService[];
}

function definitionOf(method: Handler['method']): object {
  return {
    path: method.path,
    requestStream: method.kind === 'bidi',
    responseStream: method.kind !== 'unary',
    requestSerialize: serializer(method.request),
    requestDeserialize: untouched,
    responseSerialize: method.kind === 'unary' ? serializer(method.response) : untouched,
    responseDeserialize: untouched,
  };
}

function implementationOf(method: Handler['method'], run: Handler['run']): unknown {
  const untyped = run as (...args: unknown[]) => Promise<unknown>;
  const { request } = method;
  if (method.kind === 'unary') {
    return answer((bytes, context) => untyped(request.decode(bytes), context));
  }
  if (method.kind === 'bidi') {
    return stream(method, (duplex, _, context) => untyped(duplex, context));
  }
  return stream(method, (out, bytes, context) => untyped(request.decode(bytes), out, context));
}

/** What of a call says who made it. */
type Called = Pick<ServerUnaryCall<unknown, unknown>, 'getPeer' | 'metadata'>;

/** Makes the signal only for a handler that asks for it: most unary ones do not. */
class ServerContext implements CallContext {
  private readonly call: Called;
  private controller: AbortController | undefined;
  private over = false;

  constructor(call: Called) {
    this.call = call;
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.over) this.controller.abort();
    return this.controller.signal;
  }

  get peer(): string {
    return this.call.getPeer();
  }

  get cluster(): string | undefined {
    const [named] = this.call.metadata.get(CLUSTER_HEADER);
    return named?.toString();
  }

  end(): void {
    this.over = true;
    this.controller?.abort();
  }
}

function answer(run: (request: Uint8Array, context: CallContext) => Promise<unknown>) {
  return (call: ServerUnaryCall<Uint8Array, unknown>, callback: sendUnaryData<unknown>): void => {
    const context = new ServerContext(call);
    call.on('cancelled', () => context.end());
    settle(
      () => run(call.request, context),
      (response) => callback(null, response),
      (error) => callback(toStatus(error)),
    );
  };
}

function stream(
  { request: incoming, response: outgoing }: Handler['method'],
  run: (
    stream: MessageStream<unknown, unknown>,
    request: Uint8Array,
    context: CallContext,
  ) => Promise<unknown>,
) {
  return (call: ServerStreamCall): void => {
    const context = new ServerContext(call);
    let failed = false;
    const abort = (error: unknown): void => {
      if (failed || call.cancelled) return;
      failed = true;
      // How grpc-js takes the status of a stream: it goes out behind the messages that still wait.
      call.emit('error', toStatus(error));
      if (VarlogError.is(error, 'CANCELLED') && wrapped.hasUnsent) reset(call);
    };
    const wrapped = new GrpcStream<unknown, unknown>(call, incoming, outgoing, {
      abort,
      toError: serverSideError,
      // A client that breaks the call seems to end its side first, and is known only after this turn.
      whenEnded: (proceed) => hostTimers.setImmediate(proceed),
      overAtPeersEnd: false,
      shortcut: () => serverShortcut(call),
    });
    wrapped.closed.catch(() => context.end());
    call.on('cancelled', () => context.end());
    const { request } = call as unknown as { request: Uint8Array };
    settle(
      () => run(wrapped, request, context),
      () => {
        wrapped.finish();
        wrapped.end();
      },
      abort,
    );
  };
}

/**
 * Ends a stream without waiting for its reader, who may never come back for what it was sent.
 * grpc-js has no call for this; where its insides change, the status waits for the reader.
 */
function reset(call: ServerStreamCall): void {
  const inner = call as unknown as { call?: { stream?: Partial<ServerHttp2Stream> } };
  inner.call?.stream?.close?.(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/** What an error event at the server means: messages that were too large, or a failure inside grpc-js. */
function serverSideError(failure: Partial<StatusObject> & { message?: string }): VarlogError {
  const because = failure.details ?? failure.message ?? 'no reason given';
  return new VarlogError(
    failure.code === status.RESOURCE_EXHAUSTED ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE',
    { what: `the stream broke: ${because}` },
  );
}

/** Runs a handler at once, so that it can listen before the first message arrives. */
function settle<T>(
  run: () => Promise<T>,
  done: (value: T) => void,
  failed: (error: unknown) => void,
): void {
  try {
    run().then(done, failed);
  } catch (error) {
    failed(error);
  }
}
