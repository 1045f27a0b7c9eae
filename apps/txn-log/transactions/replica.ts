import { Varlog } from 'varlog/log';
import { AccessTokens, Closers, listen, stopListening, tlsFromEnvironment } from 'varlog/node';
import {
  type ReplicaOptions,
  ReplicaTransactions,
  snapshotDirectory,
  startReplica,
} from 'varlog/smr';
import { operatorPages } from '../../operator-pages.ts';
import { Readiness } from '../../readiness.ts';
import { failureOf, type Serving } from '../../serving.ts';
import { machine } from './definition.ts';
import { makeTransactionServer } from './http-server.ts';

const SNAPSHOT_EVERY = 50_000;
/** Requests that are under way at the end get this long. */
const GRACE_MS = 1_000;

export interface TransactionReplicaOptions {
  /** Address of the HTTP server, `host:port`. */
  http: string;
  /** Where snapshots lie. */
  directory: string;
  /** Access tokens, one of which clients have to show. Default: none. */
  tokens?: readonly string[] | undefined;
  /** The log that carries the commands: a topic of a Varlog cluster, or any other. */
  log:
    | { endpoints: string; topic: number; token?: string | undefined }
    | ReplicaOptions<never, never, never, never>['log'];
}

/** One replica of the transaction service, serving. */
export interface ServingTransactions extends Serving {
  /** `host:port` that was bound. */
  readonly http: string;
}

/** Joins the log and serves; `/readyz` says when it has caught up. Any number of replicas may run on the same log. */
export async function startTransactionReplica(
  options: TransactionReplicaOptions,
): Promise<ServingTransactions> {
  const closers = new Closers();
  const close = (): Promise<void> => closers.close();
  const { log: where, directory } = options;
  try {
    let log: ReplicaOptions<never, never, never, never>['log'];
    if ('endpoints' in where) {
      const tls = tlsFromEnvironment(process.env);
      const varlog = await Varlog.connect({ endpoints: where.endpoints, tls, token: where.token });
      closers.add(() => varlog.close());
      log = varlog.topic(where.topic).asOrderedLog();
    } else log = where;
    const replica = await startReplica({
      machine: machine.make(),
      name: machine.name,
      log,
      snapshots: snapshotDirectory(directory),
      snapshotEvery: SNAPSHOT_EVERY,
    });
    closers.add(() => replica.close());
    const pages = operatorPages('transactions', new Readiness(replica), {});
    const tokens = options.tokens && new AccessTokens(options.tokens);
    const server = makeTransactionServer(new ReplicaTransactions(replica), pages, tokens);
    const http = await listen(server, options.http);
    closers.add(() => stopListening(server, GRACE_MS));
    return { http, failed: failureOf(replica), close };
  } catch (error) {
    await close().catch(() => {}); // Why it did not start tells more.
    throw error;
  }
}
