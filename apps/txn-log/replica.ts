import { Varlog } from 'varlog/log';
import { listen, stopListening, tlsFromEnvironment } from 'varlog/node';
import { type SqlReplicaOptions, startSqlReplica } from 'varlog/smr/sql';
import { operatorPages } from '../operator-pages.ts';
import { Readiness } from '../readiness.ts';
import { failureOf, type Serving } from '../serving.ts';
import { type LedgerLocation, ledgerDatabase } from './database.ts';
import { makeHttpServer } from './http-server.ts';
import type { LedgerCommand } from './ledger-command.ts';
import { LedgerMachine, type LedgerResult } from './ledger-machine.ts';
import { CALL_MS, LedgerService } from './ledger-service.ts';
import { ReadOnlySql } from './read-only-sql.ts';

/** Requests that are under way at the end get this long. */
const GRACE_MS = 1_000;

export interface LedgerReplicaOptions {
  /** Address of the HTTP face, `host:port`. */
  http: string;
  /** This replica's own database. */
  location: LedgerLocation;
  /** The log that carries the commands: a topic of a Varlog cluster, or any other. */
  log:
    | { endpoints: string | readonly string[]; topic: number }
    | SqlReplicaOptions<never, never>['log'];
  /** Calls of the ledger are done within this time, or fail with `TIMEOUT`. Default: 10,000. */
  callTimeoutMs?: number;
}

/** One replica of the ledger, serving. */
export interface LedgerReplica extends Serving {
  readonly service: LedgerService;
  /** `host:port` that was bound. */
  readonly http: string;
}

/** Joins the log and serves; `/readyz` says when it has caught up. Each replica on the same log has a database of its own. */
export async function startLedgerReplica(options: LedgerReplicaOptions): Promise<LedgerReplica> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closeOne of closers.splice(0).reverse()) await closeOne();
  };
  const { callTimeoutMs = CALL_MS } = options;
  try {
    const { writer, reader } = ledgerDatabase(options.location);
    for (const it of [writer, reader])
      closers.push(async () => (it.isInitialized ? it.destroy() : undefined));
    const replica = await startSqlReplica<LedgerCommand, LedgerResult>({
      machine: new LedgerMachine(),
      name: 'ledger',
      dataSource: writer,
      reader,
      log: await logOf(options.log, closers),
      callTimeoutMs,
    });
    closers.push(() => replica.close());
    const service = new LedgerService(replica, new ReadOnlySql(reader), callTimeoutMs);
    const readiness = new Readiness(replica, {}, () => service.databaseAnswers());
    const server = makeHttpServer(service, operatorPages('ledger', readiness, {}));
    const http = await listen(server, options.http);
    closers.push(() => stopListening(server, GRACE_MS));
    return { service, http, failed: failureOf(replica), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function logOf(log: LedgerReplicaOptions['log'], closers: (() => Promise<void>)[]) {
  if (!('endpoints' in log)) return log;
  const tls = tlsFromEnvironment(process.env);
  const varlog = await Varlog.connect({ endpoints: log.endpoints, tls });
  closers.push(() => varlog.close());
  return varlog.topic(log.topic);
}
