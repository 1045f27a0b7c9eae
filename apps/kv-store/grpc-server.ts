import { type handleServerStreamingCall, type handleUnaryCall, Server } from '@grpc/grpc-js';
import type { TlsOptions } from 'varlog/log';
import { type AccessTokens, listenError, serverCredentials, trackConnections } from 'varlog/node';
import { serveCallStream } from './call-stream-server.ts';
import { askForTokenAsEtcd } from './etcd/authentication.ts';
import { serveEtcd } from './etcd/etcd-server.ts';
import { statusOf } from './grpc-status.ts';
import { keyOfText, keysWithPrefix } from './key.ts';
import { type Change, changeOf } from './named-key.ts';
import { operationsOf } from './operations.ts';
import { keyValue } from './proto.ts';
import type { KvService, Watched } from './service.ts';

/** Calls that are under way when the server closes get this long. */
const GRACE_MS = 1_000;
/** A peer that vanished without a word is found by these. */
const KEEP_ALIVE = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
};

export interface GrpcServer {
  /**
   * Takes no more calls and resolves when those under way are answered, or were cancelled after a second. Watches go on
   * until their service ends them.
   */
  close(): Promise<void>;
}

interface WatchRequest {
  prefix: string;
  from: number;
  progress: boolean;
  log: string;
}

/** A change, or without a key: how far the store has come. */
type ChangeMessage = Partial<Change> & { revision: number; log: string; more?: boolean };

/**
 * Serves the store as gRPC service `kv.KeyValue` (kv.proto), and as etcd (etcd/etcd.proto). With tokens, each call has to
 * show one. Resolves when `address` is bound.
 */
export async function serveGrpc(
  service: KvService,
  address: string,
  { tls, tokens }: { tls?: TlsOptions | undefined; tokens?: AccessTokens | undefined } = {},
): Promise<GrpcServer> {
  const interceptors = tokens === undefined ? [] : [askForTokenAsEtcd(tokens)];
  const server = new Server({ ...KEEP_ALIVE, interceptors });
  const ending = new AbortController();
  const operations = operationsOf(service);
  server.addService(keyValue, {
    Put: unary(operations.put, service),
    Delete: unary(operations.delete, service),
    CompareAndSet: unary(operations.compareAndSet, service),
    Get: unary(operations.get, service),
    List: unary(operations.list, service),
    Session: serveCallStream(operations, service, ending.signal),
    Watch: pieces(async function* ({ prefix, from, log, progress }: WatchRequest, signal) {
      const start = { ...(from > 0 && { from }), ...(log !== '' && { log }) };
      const range = keysWithPrefix(keyOfText(prefix));
      for await (const it of service.watch(range, start, signal)) yield messagesOf(it, progress);
    }),
  });
  serveEtcd(server, service, `${tls === undefined ? 'http' : 'https'}://${address}`, tokens);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, serverCredentials(tls), (error) =>
      error === null ? resolve() : reject(listenError(address, error)),
    );
  });
  const breakConnections = trackConnections(server);
  return {
    close: () =>
      new Promise((resolve) => {
        ending.abort();
        const force = setTimeout(() => {
          breakConnections();
          server.forceShutdown();
          resolve();
        }, GRACE_MS);
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      }),
  };
}

function messagesOf({ changes, through, log }: Watched, progress: boolean): ChangeMessage[] {
  if (changes.length === 0 && progress) return [{ revision: through, log }];
  return changes.map((it, i) => {
    const more = changes[i + 1]?.revision === it.revision;
    return { ...changeOf(it), log, more };
  });
}

/** A method of which `answer` gives the reply, or rejects with an error to be told. Its revisions are those of a log. */
function unary<Request, Reply extends object>(
  answer: (request: Request) => Promise<Reply>,
  service: Pick<KvService, 'log'>,
): handleUnaryCall<Request, Reply & { log: string }> {
  return (call, callback) => {
    answer(call.request).then(
      (reply) => callback(null, { ...reply, log: service.log }),
      (error: unknown) => callback(statusOf(error)),
    );
  };
}

/**
 * A method of which `answer` gives the messages piece by piece; the next piece is asked for when the one before is on
 * its way, so that a reader who does not keep up costs no memory. `signal` is aborted when the call is over.
 */
function pieces<Request, Message>(
  answer: (request: Request, signal: AbortSignal) => AsyncIterable<Message[]>,
): handleServerStreamingCall<Request, Message> {
  return (call) => {
    const over = new AbortController();
    const { signal } = over;
    for (const event of ['cancelled', 'error', 'close']) call.once(event, () => over.abort());
    const sent = (messages: Message[]): Promise<void> =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const stop = (): void => reject(signal.reason as Error);
        signal.addEventListener('abort', stop, { once: true });
        messages.forEach((message, i) => {
          if (i < messages.length - 1) call.write(message);
          else
            call.write(message, () => {
              signal.removeEventListener('abort', stop);
              resolve();
            });
        });
      });
    const run = async (): Promise<void> => {
      for await (const messages of answer(call.request, signal)) {
        if (messages.length > 0) await sent(messages);
      }
    };
    run().then(
      () => call.end(),
      (error: unknown) => {
        if (!signal.aborted) call.emit('error', statusOf(error));
      },
    );
  };
}
