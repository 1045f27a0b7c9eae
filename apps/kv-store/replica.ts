import { type OrderedLog, type TlsOptions, Varlog } from 'varlog/log';
import { AccessTokens, Closers, listen, stopListening, tlsFromEnvironment } from 'varlog/node';
import { openRaftGroup } from 'varlog/raft';
import { snapshotDirectory, startReplica } from 'varlog/smr';
import { type Figure, operatorPages } from '../operator-pages.ts';
import { Readiness } from '../readiness.ts';
import { failureOf, type Serving } from '../serving.ts';
import { machine } from './definition.ts';
import { serveGrpc } from './grpc-server.ts';
import { makeHttpServer } from './http-server.ts';
import { KvService, type StoreReplica } from './service.ts';

/**
 * A snapshot has the past and the names of requests in it, some 100 bytes for each: it is worth its writing when there are
 * as many bytes of commands that need not be applied again. Those are applied in a second or two.
 */
const SNAPSHOT_EVERY = { entries: 200_000, bytes: 64 * 1024 * 1024 };
/** Calls of the store are done within this time, or fail with `TIMEOUT`. */
const CALL_MS = 5_000;
/** Requests that are under way at the end get this long. */
const GRACE_MS = 1_000;

export interface KvReplicaOptions {
  /** Address of the gRPC server, `host:port`. */
  grpc: string;
  /** Address of the HTTP server. */
  http: string;
  /** Where snapshots (and, on Raft, the log) lie. */
  directory: string;
  /** Access tokens: clients have to show one, and the first is shown to the cluster, or to other members. Default: none. */
  tokens?: readonly string[] | undefined;
  /** The log that carries the commands. */
  log:
    | { kind: 'topic'; endpoints: string | readonly string[]; topic: number }
    | { kind: 'raft'; memberId: number; members: { id: number; address: string }[] };
}

/** One replica of the store, serving. */
export interface KvReplica extends Serving {
  readonly service: KvService;
  /** `host:port` that the HTTP server is bound to. */
  readonly http: string;
}

/** Joins the log and serves; `/readyz` says when it has caught up. Any number of replicas may run on the same log. */
export async function startKvReplica(options: KvReplicaOptions): Promise<KvReplica> {
  const closers = new Closers();
  const close = (): Promise<void> => closers.close();
  try {
    const tls = tlsFromEnvironment(process.env);
    const { replica, log } = await startOnLog(options, tls, closers);
    closers.add(() => replica.close());
    const service = new KvService(replica, log);
    const tokens = options.tokens && new AccessTokens(options.tokens);
    const grpc = await serveGrpc(service, options.grpc, { tls, tokens });
    closers.add(() => grpc.close());
    const pages = operatorPages('kv', new Readiness(replica), figuresOf(replica, service));
    const server = makeHttpServer(service, pages, tokens);
    const http = await listen(server, options.http);
    closers.add(() => stopListening(server, GRACE_MS));
    // First of all, so that watchers go to another replica and do not hold up the end.
    closers.add(async () => service.endWatches());
    return { service, http, failed: failureOf(replica), close };
  } catch (error) {
    await close().catch(() => {}); // Why it did not start tells more.
    throw error;
  }
}

function figuresOf(replica: StoreReplica, service: KvService): Record<string, Figure> {
  const { machine } = replica;
  return {
    keys: { help: 'Keys', value: () => machine.size },
    keys_remembered: {
      help: 'Keys that are there, or were in the past that is kept',
      value: () => machine.remembered,
    },
    leases: { help: 'Leases that are held', value: () => machine.leaseCount },
    revision: { help: 'Revision of the last change', value: () => machine.revision },
    history_changes: { help: 'Changes kept for watchers', value: () => machine.history.length },
    history_bytes: { help: 'Bytes of those changes', value: () => machine.history.bytes },
    watchers: { help: 'Watches that are open', value: () => service.watchers },
  };
}

async function startOnLog(
  options: KvReplicaOptions,
  tls: TlsOptions | undefined,
  closers: Closers,
): Promise<{ replica: StoreReplica; log: OrderedLog }> {
  const { log: where, tokens } = options;
  const common = {
    machine: machine.make(),
    name: machine.name,
    codec: machine.codec,
    callTimeoutMs: CALL_MS,
    snapshotEvery: SNAPSHOT_EVERY,
  };
  if (where.kind === 'raft') {
    const node = await openRaftGroup({
      groupId: 'kv',
      memberId: where.memberId,
      members: where.members,
      directory: options.directory,
      tls,
      tokens,
    });
    closers.add(() => node.close());
    return { replica: await startReplica({ ...common, log: node.group }), log: node.group };
  }
  const varlog = await Varlog.connect({ endpoints: where.endpoints, tls, token: tokens?.[0] });
  closers.add(() => varlog.close());
  const log = varlog.topic(where.topic).asOrderedLog();
  const snapshots = snapshotDirectory(options.directory);
  return { replica: await startReplica({ ...common, log, snapshots }), log };
}
