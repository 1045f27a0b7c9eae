import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { VarlogError } from 'varlog/log';
import { LEDGER_ENTITIES } from './entities.ts';
import { LEDGER_MIGRATIONS } from './migrations.ts';
import { QUESTION_MS } from './read-only-sql.ts';

const CONNECT_MS = 10_000;
const STATEMENT_MS = 60_000;

/** The two ways to a ledger's database. */
export interface LedgerDatabase {
  /** For the replica alone. */
  writer: DataSource;
  /** For everyone else. It cannot change anything. */
  reader: DataSource;
}

/** Where a ledger lies: a folder for SQLite, or `postgres://user:password@host:port/database`. */
export type LedgerLocation = { directory: string } | { url: string };

/** Describes the connections; opens none. `file`: that of SQLite, in its folder. */
export function ledgerDatabase(location: LedgerLocation, file = 'ledger.db'): LedgerDatabase {
  const common = { entities: LEDGER_ENTITIES, synchronize: false } as const;
  const writing = {
    ...common,
    migrations: LEDGER_MIGRATIONS,
    migrationsTableName: 'varlog_migrations',
  };
  if ('directory' in location) {
    mkdirSync(location.directory, { recursive: true });
    const database = join(location.directory, file);
    const lite = { type: 'better-sqlite3', database } as const;
    return {
      writer: new DataSource({ ...writing, ...lite, enableWAL: true }),
      reader: new DataSource({ ...common, ...lite, readonly: true }),
    };
  }
  if (!/^postgres(ql)?:\/\//.test(location.url)) {
    throw new VarlogError('CONFIG_INVALID', {
      what: 'the address of the database does not begin with postgres://',
      next: 'give postgres://user:password@host:port/database, or a directory for SQLite',
    });
  }
  const server = { type: 'postgres', url: location.url } as const satisfies DataSourceOptions;
  const options = `-c default_transaction_read_only=on -c statement_timeout=${QUESTION_MS}`;
  return {
    writer: new DataSource({ ...writing, ...server, poolSize: 1, extra: limits(STATEMENT_MS) }),
    reader: new DataSource({
      ...common,
      ...server,
      extra: { ...limits(2 * QUESTION_MS), options },
    }),
  };
}

/** A server that is gone without a word is noticed, and a statement that it never answers ends. */
function limits(statementMs: number) {
  return {
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: statementMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: CONNECT_MS,
  };
}
