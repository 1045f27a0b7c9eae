import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { type Handler, VarlogError } from '../base/index.ts';
import { CLUSTER_HEADER } from './grpc-channel.ts';
import { toStatus } from './grpc-error.ts';
import type { Shortcut } from './grpc-shortcut.ts';
import { Http2Call } from './http2-call.ts';
import { type RunStream, runStream, serveStream } from './served-call.ts';

const NOTHING = new Uint8Array(0);

type TakeStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/**
 * Takes the streams of methods from a server of grpc-js before it wraps them, which would cost more than all else that is
 * done for a short call. It takes those that `mayTake`; the others, and compressed messages, are left to it. To be called before the server is bound. It has no
 * call for this: where its insides change, it goes on to serve them all.
 */
export class StreamTaker {
  private readonly methods = new Map<string, TakeStream>();

  constructor(server: Server, mayTake: (headers: IncomingHttpHeaders) => boolean) {
    const inner = server as unknown as {
      _streamHandler?: (interceptors: unknown, ...call: Parameters<TakeStream>) => void;
    };
    const original = inner._streamHandler;
    if (typeof original !== 'function') return;
    inner._streamHandler = (interceptors, stream, headers) => {
      const take = isPlain(headers) ? this.methods.get(headers[':path'] ?? '') : undefined;
      if (take === undefined || !mayTake(headers))
        original.call(server, interceptors, stream, headers);
      else take(stream, headers);
    };
  }

  add(handlers: readonly Handler[]): void {
    for (const { method, run } of handlers) {
      if (method.kind === 'unary') continue;
      const own = runStream(method, run);
      this.methods.set(method.path, (stream, headers) => {
        const call = new Http2Call(stream, headers);
        if (call.isOver) return;
        if (method.kind === 'bidi') {
          call.respond();
          serveTaken(method, own, call, headers, NOTHING);
        } else call.whenAsked((request) => serveTaken(method, own, call, headers, request));
      });
    }
  }

  remove(handlers: readonly Handler[]): void {
    for (const { method } of handlers) this.methods.delete(method.path);
  }
}

function isPlain(headers: IncomingHttpHeaders): boolean {
  const { 'content-type': type, 'grpc-encoding': encoding = 'identity' } = headers;
  return type?.startsWith('application/grpc') === true && encoding === 'identity';
}

function serveTaken(
  method: Handler['method'],
  run: RunStream,
  call: Http2Call,
  headers: IncomingHttpHeaders,
  request: Uint8Array,
): void {
  const caller = {
    get peer() {
      return call.peer;
    },
    get cluster() {
      const named = headers[CLUSTER_HEADER];
      return typeof named === 'string' ? named : undefined;
    },
  };
  const abort = (error: unknown): void => {
    if (call.isOver) return;
    call.refuse(toStatus(error));
    if (VarlogError.is(error, 'CANCELLED') && call.writableLength > 0) call.reset();
  };
  const shortcut: Shortcut = {
    isClear: true,
    write: (pieces, written) => call.writeFrames(pieces, written),
  };
  serveStream(method, run, { call, request, caller, abort, shortcut: () => shortcut });
}
