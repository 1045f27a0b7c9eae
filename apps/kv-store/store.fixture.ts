import { type OrderedLog, VarlogError } from 'varlog/log';
import { AccessTokens, listen, stopListening } from 'varlog/node';
import { startReplica } from 'varlog/smr';
import { freeAddresses, MemoryLog } from 'varlog/testing';
import type { HistoryLimits } from './change-history.ts';
import { kvCodecs } from './codecs.ts';
import { serveGrpc } from './grpc-server.ts';
import { makeHttpServer } from './http-server.ts';
import { KvMachine } from './machine.ts';
import { KvService, type StoreReplica } from './service.ts';

/** One replica of the store in this process, with both of its servers. */
export interface StartedStore extends AsyncDisposable {
  readonly log: OrderedLog;
  readonly replica: StoreReplica;
  readonly service: KvService;
  /** `host:port` of the gRPC server. */
  readonly grpc: string;
  /** URL of the HTTP server. */
  readonly http: string;
  /** Ends as the process does that is told to. */
  end(): Promise<void>;
}

export async function startStore(
  log: OrderedLog = new MemoryLog(),
  limits: Partial<HistoryLimits> = {},
  heartbeatMs?: number,
  tokens?: readonly string[],
): Promise<StartedStore> {
  const replica = await startReplica({
    machine: new KvMachine(limits),
    name: 'kv',
    callTimeoutMs: 5_000,
    log,
    codec: kvCodecs,
  });
  const service = new KvService(replica, log, heartbeatMs);
  const [grpc = ''] = await freeAddresses(1);
  const asked = tokens && new AccessTokens(tokens);
  const grpcServer = await serveGrpc(service, grpc, { tokens: asked });
  const server = makeHttpServer(service, undefined, asked);
  const http = await listen(server, '127.0.0.1:0');
  let ended: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    service.endWatches();
    await Promise.all([stopListening(server, 1_000), grpcServer.close()]);
    await replica.close();
  };
  const endOnce = (): Promise<void> => {
    ended ??= end();
    return ended;
  };
  return {
    log,
    replica,
    service,
    grpc,
    http: `http://${http}`,
    end: endOnce,
    [Symbol.asyncDispose]: endOnce,
  };
}

/** The same log, and another view of it that is found damaged as soon as `fail` is called. */
export function breakable(whole: OrderedLog): {
  whole: OrderedLog;
  log: OrderedLog;
  fail: () => void;
} {
  let fail = (): void => {};
  const failed = new Promise<never>((_, reject) => {
    fail = () => reject(new VarlogError('CORRUPT', { what: 'the log is damaged' }));
  });
  failed.catch(() => {});
  const follow: OrderedLog['follow'] = async function* (from, options) {
    const events = whole.follow(from, options)[Symbol.asyncIterator]();
    for (;;) {
      const next = await Promise.race([events.next(), failed]);
      if (next.done === true) return;
      yield next.value;
    }
  };
  const log = new Proxy(whole, {
    get: (target, name) => {
      if (name === 'follow') return follow;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { whole, log, fail: () => fail() };
}
