import type { DataSource, EntityManager } from 'typeorm';
import { VarlogError } from '../../base/index.ts';

/** What differs between the databases that a replica can keep its state in. */
export interface Dialect {
  readonly kind: 'sqlite' | 'postgres';
  /** Type of a column of bytes. */
  readonly bytes: string;
  /** A statement whose parameters are written `$1`, `$2`, …, each once and in this order. */
  statement(sql: string): string;
  /** Whether a statement that failed leaves the transaction as it was before that statement. */
  readonly undoesFailedStatements: boolean;
  /**
   * Whether a statement failed because of what it says and what is in the tables, and so on every
   * replica alike; any other failure is of this database and this moment.
   */
  isOfStatement(error: unknown): boolean;
  /** Clears away a transaction that an earlier failure left behind on the connection. */
  reset(dataSource: DataSource): Promise<void>;
  /** Puts all that was committed on disk; `false` where that is not known to have succeeded. */
  flush(dataSource: DataSource): Promise<boolean>;
  /** Whether the transaction is still there: some failures end it as a whole. */
  isOpen(manager: EntityManager): Promise<boolean>;
}

const SQLITE: Dialect = {
  kind: 'sqlite',
  bytes: 'blob',
  statement: (sql) => sql.replaceAll(/\$\d+/g, '?'),
  undoesFailedStatements: true,
  isOfStatement: (error) => /^SQLITE_(CONSTRAINT|ERROR$|MISMATCH|RANGE|TOOBIG)/.test(codeOf(error)),
  reset: async (dataSource) => {
    const runner = dataSource.createQueryRunner();
    const connection = (await runner.connect()) as SqliteConnection;
    if (connection.inTransaction) connection.exec('ROLLBACK');
    // There is one runner for all transactions, and it miscounts once SQLite ended one by itself:
    // it would take the next for a part of a larger one, which nobody ever commits.
    Object.assign(runner, { isTransactionActive: false, transactionDepth: 0 });
  },
  flush: async (dataSource) => {
    // Commits go to the write-ahead log, which is synced when it is copied into the database.
    const [row] = (await dataSource.query('PRAGMA wal_checkpoint(PASSIVE)')) as Checkpoint[];
    return row !== undefined && row.busy === 0 && row.log === row.checkpointed;
  },
  isOpen: async ({ dataSource }) => {
    const connection = await dataSource.createQueryRunner().connect();
    return (connection as SqliteConnection).inTransaction;
  },
};

const POSTGRES: Dialect = {
  kind: 'postgres',
  bytes: 'bytea',
  statement: (sql) => sql,
  undoesFailedStatements: false,
  // Cardinality, data, constraint, and what the statement names or means; but not what this role may do.
  isOfStatement: (error) => /^(21|22|23|42(?!501))...$/.test(codeOf(error)),
  // Each transaction gets a connection from the pool, which takes back none that is broken.
  reset: async () => {},
  // It acknowledges no commit before.
  flush: async () => true,
  isOpen: async () => true,
};

interface Checkpoint {
  readonly busy: number;
  /** Pages in the write-ahead log, and those of them that the database has. */
  readonly log: number;
  readonly checkpointed: number;
}

interface SqliteConnection {
  readonly inTransaction: boolean;
  exec(sql: string): void;
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** Throws `INVALID_ARGUMENT` for a database that has not been tested to keep positions exactly. */
export function dialectOf(dataSource: DataSource): Dialect {
  const { type } = dataSource.options;
  if (type === 'better-sqlite3') return SQLITE;
  if (type === 'postgres') return POSTGRES;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `a replica cannot keep its state in a database of type ${type}`,
    next: 'use better-sqlite3 or postgres',
  });
}
