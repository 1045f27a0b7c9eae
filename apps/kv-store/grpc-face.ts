import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  status,
} from '@grpc/grpc-js';
import { listenError } from '../serving.ts';
import { statusOf } from './grpc-status.ts';
import type { Change } from './machine.ts';
import { operationsOf } from './operations.ts';
import { keyValue } from './proto.ts';
import type { KvService } from './service.ts';
import { serveSession } from './session-face.ts';

/** Serves the store as gRPC service `kv.KeyValue` (kv.proto). Resolves when `address` is bound. */
export async function serveGrpc(service: KvService, address: string): Promise<Server> {
  const server = new Server();
  const operations = operationsOf(service);
  server.addService(keyValue, {
    Put: unary(operations.put),
    Delete: unary(operations.delete),
    CompareAndSet: unary(operations.compareAndSet),
    Get: unary(operations.get),
    List: unary(operations.list),
    Session: serveSession(operations),
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
