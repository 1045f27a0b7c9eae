import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  status,
} from '@grpc/grpc-js';
import { VarlogError } from 'varlog/log';
import { listenError } from '../serving.ts';
import type { Change } from './machine.ts';
import { keyValue } from './proto.ts';
import type { KvService } from './service.ts';

interface Write {
  key: string;
  value: string;
  expected: number;
  requestId: string;
}

/** Serves the store as gRPC service `kv.KeyValue` (kv.proto). Resolves when `address` is bound. */
export async function serveGrpc(service: KvService, address: string): Promise<Server> {
  const server = new Server();
  const once = (write: Write) => (write.requestId === '' ? {} : { requestId: write.requestId });
  server.addService(keyValue, {
    Put: unary((it: Write) => service.put(it.key, it.value, once(it))),
    Delete: unary((it: Write) => service.delete(it.key, once(it))),
    CompareAndSet: unary((it: Write) =>
      service.compareAndSet(it.key, it.expected, it.value, once(it)),
    ),
    Get: unary(async ({ key, stale }: { key: string; stale: boolean }) => {
      const found = await service.get(key, { stale });
      return { found: found !== undefined, ...found };
    }),
    List: unary(({ prefix, stale }: { prefix: string; stale: boolean }) =>
      service.list(prefix, { stale }),
    ),
    Watch: watch(service),
  });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(listenError(address, error.message)),
    );
  });
  return server;
}

function unary<Request, Reply extends object>(
  answer: (request: Request) => Promise<Reply>,
): handleUnaryCall<Request, Reply> {
  return (call, callback) => {
    answer(call.request).then(
      (reply) => callback(null, reply),
      (error: unknown) => callback(statusOf(error)),
    );
  };
}

function watch(
  service: KvService,
): handleServerStreamingCall<{ prefix: string; from: number }, Change> {
  return (call) => {
    const { prefix, from } = call.request;
    const subscription = service.watch$(prefix, from === 0 ? undefined : from).subscribe({
      next: (change) => {
        if (call.write(change)) return;
        // A reader that does not keep up is let go: it comes back with the revision it has seen.
        if (call.writableLength > 1_000) {
          call.emit('error', {
            code: status.RESOURCE_EXHAUSTED,
            details: `slow watcher: watch again from revision ${change.revision}`,
          });
        }
      },
      error: (error) => call.emit('error', statusOf(error)),
    });
    call.once('cancelled', () => subscription.unsubscribe());
    call.once('error', () => subscription.unsubscribe());
  };
}

const STATUS: Record<string, status> = {
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  ENTRY_TOO_LARGE: status.INVALID_ARGUMENT,
  TRIMMED: status.OUT_OF_RANGE,
  RESOURCE_EXHAUSTED: status.RESOURCE_EXHAUSTED,
  TIMEOUT: status.DEADLINE_EXCEEDED,
};

function statusOf(error: unknown): { code: status; details: string } {
  const code = VarlogError.is(error) ? (STATUS[error.code] ?? status.UNAVAILABLE) : status.INTERNAL;
  return { code, details: error instanceof Error ? error.message : String(error) };
}
