import type { DataSource } from 'typeorm';
import { VarlogError } from '../../base/index.ts';

/** What differs between the databases that a replica can keep its state in. */
export interface Dialect {
  readonly kind: 'sqlite' | 'postgres';
  /** Type of a column of bytes. */
  readonly bytes: string;
  /** A statement whose parameters are written `$1`, `$2`, …, each once and in this order. */
  statement(sql: string): string;
}

const SQLITE: Dialect = {
  kind: 'sqlite',
  bytes: 'blob',
  statement: (sql) => sql.replaceAll(/\$\d+/g, '?'),
};
const POSTGRES: Dialect = { kind: 'postgres', bytes: 'bytea', statement: (sql) => sql };

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
