import { join } from 'node:path';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { VarlogError } from 'varlog/log';
import { makePathSync } from 'varlog/node';
import { LEDGER_ENTITIES } from './entities.ts';
import { LEDGER_MIGRATIONS } from './migrations.ts';
import { QUESTION_MS } from './read-only-sql.ts';

const CONNECT_MS = 10_000;
const STATEMENT_MS = 60_000;
/** Whoever reads in a database that is to be removed is waited for so long. */
const LOCK_MS = 5_000;

/** The two ways to a ledger's database. */
export interface LedgerDatabase {
  /** For the replica alone. */
  writer: DataSource;
  /** For everyone else. It cannot change anything. */
  reader: DataSource;
}

/** Where a ledger lies: a folder for SQLite, or `postgres://user:password@host:port/database`. */
export type LedgerLocation = { directory: string } | { url: string };

/** The file of a generation, in the folder of the ledger. */
export function fileOf(generation: number): string {
  return generation === 0 ? 'ledger.db' : `ledger-${generation}.db`;
}

/** The schema of a generation. The first one lies where its user has tables by default. */
export function schemaOf(generation: number): string | undefined {
  return generation === 0 ? undefined : `ledger_${generation}`;
}

/** Describes the connections to a generation of the ledger's database; opens none. */
export function ledgerDatabase(location: LedgerLocation, generation = 0): LedgerDatabase {
  const common = { entities: LEDGER_ENTITIES, synchronize: false } as const;
  const writing = {
    ...common,
    migrations: LEDGER_MIGRATIONS,
    migrationsTableName: 'varlog_migrations',
  };
  if ('directory' in location) {
    makePathSync(location.directory);
    const database = join(location.directory, fileOf(generation));
    const lite = { type: 'better-sqlite3', database } as const;
    return {
      writer: new DataSource({ ...writing, ...lite, enableWAL: true }),
      reader: new DataSource({ ...common, ...lite, readonly: true }),
    };
  }
  const schema = schemaOf(generation);
  const place = schema === undefined ? {} : { search_path: schema };
  const asking = { ...place, default_transaction_read_only: 'on', statement_timeout: QUESTION_MS };
  return {
    writer: new DataSource({
      ...writing,
      ...server(location.url, place, STATEMENT_MS),
      poolSize: 1,
    }),
    reader: new DataSource({ ...common, ...server(location.url, asking, 2 * QUESTION_MS) }),
  };
}

/** Describes a connection to the server beside all generations. */
export function besideGenerations(url: string): DataSource {
  return new DataSource({ ...server(url, { lock_timeout: LOCK_MS }, STATEMENT_MS), poolSize: 1 });
}

function server(url: string, settings: Record<string, string | number>, statementMs: number) {
  if (!/^postgres(ql)?:\/\//.test(url)) {
    throw new VarlogError('CONFIG_INVALID', {
      what: 'the address of the database does not begin with postgres://',
      next: 'give postgres://user:password@host:port/database, or a directory for SQLite',
    });
  }
  // Settings in the address would take the place of these.
  const [address, query] = url.split('?', 2);
  const parameters = new URLSearchParams(query);
  const options = [
    parameters.get('options') ?? '',
    ...Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`),
  ];
  parameters.delete('options');
  const extra = { ...limits(statementMs), options: options.join(' ').trim() };
  return {
    type: 'postgres',
    url: parameters.size === 0 ? address! : `${address}?${parameters}`,
    extra,
  } as const satisfies DataSourceOptions;
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
