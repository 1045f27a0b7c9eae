import type { DataSource } from 'typeorm';
import { VarlogError } from '../../base/index.ts';
import { APPLIER_TABLE } from './applier-tables.ts';
import type { Dialect } from './dialect.ts';

/** Throws `INVALID_ARGUMENT` for what a replica cannot work with. */
export function checkSources(dataSource: DataSource, reader: DataSource | undefined): void {
  if (dataSource.options.synchronize === true) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: 'the DataSource of a replica has synchronize switched on',
      because: 'it would change the tables, and with them the replicated state, at every start',
      next: 'switch it off and describe the tables in migrations',
    });
  }
  if (reader === dataSource) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: 'the reader of a replica is the DataSource that it writes with',
      because: 'queries would see what is not committed',
      next: 'leave the reader away, or give it a DataSource of its own',
    });
  }
}

/** Brings the tables of an open DataSource up to date. Throws `INVALID_ARGUMENT` where those of a replica are not among them. */
export async function prepare(dataSource: DataSource, dialect: Dialect): Promise<void> {
  // One log for writers and readers: a reader neither waits for the applier nor makes it wait.
  if (dialect.kind === 'sqlite') await dataSource.query('PRAGMA journal_mode = WAL');
  await dataSource.runMigrations({ transaction: 'each' });
  try {
    await dataSource.query(`SELECT 1 FROM ${APPLIER_TABLE}`);
  } catch (cause) {
    if (!dialect.isOfStatement(cause)) throw cause;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `the database has no table ${APPLIER_TABLE}, in which a replica keeps how far it is`,
      next: 'have the migrations of the DataSource begin with those of varlog/smr/sql: migrations: [...sqlReplicaMigrations, …]',
      cause,
    });
  }
}
