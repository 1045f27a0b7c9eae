import type { OrderedLog } from 'varlog/log';
import { type Replica, startReplica } from 'varlog/smr';
import { freeAddresses, MemoryLog } from 'varlog/testing';
import { listen, stopListening } from '../serving.ts';
import type { HistoryLimits } from './change-history.ts';
import { kvCodecs } from './codecs.ts';
import { serveGrpc } from './grpc-face.ts';
import { makeHttpFace } from './http-face.ts';
import { type KvCommand, KvMachine, type KvResult } from './machine.ts';
import { KvService } from './service.ts';

/** One replica of the store in this process, with both of its faces. */
export interface StartedStore extends AsyncDisposable {
  readonly replica: Replica<KvCommand, KvResult, KvMachine>;
  readonly service: KvService;
  /** `host:port` of the gRPC face. */
  readonly grpc: string;
  /** Of the HTTP face, as a URL. */
  readonly http: string;
  /** Ends as the process does that is told to. */
  end(): Promise<void>;
}

export async function startStore(
  log: OrderedLog = new MemoryLog(),
  limits: Partial<HistoryLimits> = {},
): Promise<StartedStore> {
  const replica = await startReplica({
    machine: new KvMachine(limits),
    name: 'kv',
    log,
    codec: kvCodecs,
  });
  const service = new KvService(replica);
  const [grpc = ''] = await freeAddresses(1);
  const grpcFace = await serveGrpc(service, grpc);
  const server = makeHttpFace(service);
  const http = await listen(server, '127.0.0.1:0');
  let ended: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    service.endWatches();
    await Promise.all([stopListening(server, 1_000), grpcFace.close()]);
    await replica.close();
  };
  const endOnce = (): Promise<void> => {
    ended ??= end();
    return ended;
  };
  return {
    replica,
    service,
    grpc,
    http: `http://${http}`,
    end: endOnce,
    [Symbol.asyncDispose]: endOnce,
  };
}
