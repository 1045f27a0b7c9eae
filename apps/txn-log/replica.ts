import { AccessTokens, Closers, listen, stopListening } from 'varlog/node';
import { operatorPages } from '../operator-pages.ts';
import { Readiness } from '../readiness.ts';
import { failureOf, type Serving } from '../serving.ts';
import type { LedgerLocation } from './database.ts';
import type { LedgerLog } from './generation.ts';
import { makeHttpServer } from './http-server.ts';
import { CALL_MS, LedgerService } from './ledger-service.ts';
import { Rebuild } from './rebuild.ts';

/** Requests that are under way at the end get this long. */
const GRACE_MS = 1_000;

export interface LedgerReplicaOptions {
  /** Address of the HTTP server, `host:port`. */
  http: string;
  /** This replica's own database. */
  location: LedgerLocation;
  /** The log that carries the commands: a topic of a Varlog cluster, or any other. */
  log: LedgerLog;
  /** Access tokens, one of which clients have to show. Default: none. */
  tokens?: readonly string[] | undefined;
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
  const closers = new Closers();
  const close = (): Promise<void> => closers.close();
  const { callTimeoutMs = CALL_MS } = options;
  try {
    const rebuild = new Rebuild(options.location, options.log, callTimeoutMs);
    const service = new LedgerService(await rebuild.open(), callTimeoutMs);
    closers.add(() => service.close());
    const readiness = new Readiness(service, {}, () => service.databaseAnswers());
    const server = makeHttpServer(
      service,
      () => rebuild.run(service),
      operatorPages('ledger', readiness, {}),
      options.tokens && new AccessTokens(options.tokens),
    );
    const http = await listen(server, options.http);
    closers.add(() => stopListening(server, GRACE_MS));
    // First of all: it may take hours, and whoever waits for it is told.
    closers.add(() => rebuild.close());
    return { service, http, failed: failureOf(service), close };
  } catch (error) {
    await close().catch(() => {}); // Why it did not start tells more.
    throw error;
  }
}
