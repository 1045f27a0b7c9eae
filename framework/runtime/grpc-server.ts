import { constants, type ServerHttp2Stream } from 'node:http2';
import {
  Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import {
  type CallContext,
  type Caller,
  type Handler,
  runHandler,
  ServerContext,
  VarlogError,
} from '../base/index.ts';
import { CLUSTER_HEADER } from './grpc-channel.ts';
import { serializer, untouched } from './grpc-codec.ts';
import { toStatus } from './grpc-error.ts';
import type { GrpcCall } from './grpc-stream.ts';
import { type RunStream, runStream, serveStream } from './served-call.ts';

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
  if (method.kind === 'unary') {
    const untyped = run as (...args: unknown[]) => Promise<unknown>;
    const { request } = method;
    return answer((bytes, context) => untyped(request.decode(bytes), context));
  }
  return stream(method, runStream(method, run));
}

function callerOf(call: Pick<ServerUnaryCall<unknown, unknown>, 'getPeer' | 'metadata'>): Caller {
  return {
    get peer() {
      return call.getPeer();
    },
    get cluster() {
      return call.metadata.get(CLUSTER_HEADER)[0]?.toString();
    },
  };
}

function answer(run: (request: Uint8Array, context: CallContext) => Promise<unknown>) {
  return (call: ServerUnaryCall<Uint8Array, unknown>, callback: sendUnaryData<unknown>): void => {
    const context = new ServerContext(callerOf(call));
    call.on('cancelled', () => context.end());
    runHandler(
      () => run(call.request, context),
      (response) => callback(null, response),
      (error) => callback(toStatus(error)),
    );
  };
}

/** A stream that grpc-js has taken in. */
function stream(method: Handler['method'], run: RunStream) {
  return (call: ServerStreamCall): void => {
    let failed = false;
    const abort = (error: unknown): void => {
      if (failed || call.cancelled) return;
      failed = true;
      // How grpc-js takes the status of a stream: it goes out behind the messages that still wait.
      call.emit('error', toStatus(error));
      if (VarlogError.is(error, 'CANCELLED') && call.writableLength > 0) reset(call);
    };
    // As `Http2Call.respond` says why.
    if (method.kind === 'bidi') call.sendMetadata(new Metadata());
    const { request } = call as unknown as { request: Uint8Array };
    serveStream(method, run, {
      call,
      request,
      caller: callerOf(call),
      abort,
    });
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
