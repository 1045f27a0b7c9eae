import { type StatusObject, status } from '@grpc/grpc-js';
import {
  type CallContext,
  type Caller,
  type Handler,
  type MessageStream,
  runHandler,
  ServerContext,
  VarlogError,
} from '../base/index.ts';
import { type CallEnd, type GrpcCall, GrpcStream } from './grpc-stream.ts';
import { hostTimers } from './host-timers.ts';

/** A handler of any stream. */
export type RunStream = (
  stream: MessageStream<unknown, unknown>,
  request: Uint8Array,
  context: CallContext,
) => Promise<unknown>;

/** The same for a handler of either kind: one that is sent a single request, and one that is not. */
export function runStream({ kind, request }: Handler['method'], run: Handler['run']): RunStream {
  const untyped = run as (...args: unknown[]) => Promise<unknown>;
  return kind === 'bidi'
    ? (duplex, _, context) => untyped(duplex, context)
    : (out, bytes, context) => untyped(request.decode(bytes), out, context);
}

/** Has a handler answer a call that is a stream, with what it takes to end it. */
export function serveStream(
  { request: incoming, response: outgoing }: Handler['method'],
  run: RunStream,
  {
    call,
    request,
    caller,
    ...side
  }: Pick<CallEnd, 'abort' | 'shortcut'> & {
    call: GrpcCall;
    request: Uint8Array;
    caller: Caller;
  },
): void {
  const context = new ServerContext(caller);
  const wrapped = new GrpcStream<unknown, unknown>(call, incoming, outgoing, {
    ...side,
    toError: serverSideError,
    // A client that breaks the call seems to end its side first, and is known only after this turn.
    whenEnded: (proceed) => hostTimers.setImmediate(proceed),
    overAtPeersEnd: false,
  });
  wrapped.closed.catch(() => context.end());
  call.on('cancelled', () => context.end());
  runHandler(
    () => run(wrapped, request, context),
    () => {
      wrapped.finish();
      wrapped.end();
    },
    (error) => {
      // Whatever of the handler still waits for the stream is told as well.
      wrapped.breakWith(error);
      side.abort(error);
    },
  );
}

/** What an error event at the server means: messages that were too large, or a failure inside grpc-js. */
function serverSideError(failure: Partial<StatusObject> & { message?: string }): VarlogError {
  const because = failure.details ?? failure.message ?? 'no reason given';
  return new VarlogError(
    failure.code === status.RESOURCE_EXHAUSTED ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE',
    { what: `the stream broke: ${because}` },
  );
}
