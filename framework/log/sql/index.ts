/**
 * Consumers whose effects lie in a SQL database, each record once. Needs `typeorm` and a driver: `better-sqlite3` or
 * `pg`.
 *
 * ```ts
 * import { sqlCheckpoint } from 'varlog/log/sql';
 *
 * const options = { name: 'totals', checkpoint: sqlCheckpoint(dataSource) };
 * const totals = topic.process(options, async (entry, { transaction }) => {
 *   await transaction.increment(TotalEntity, { id: 1 }, 'amount', entry.value.amount);
 * });
 * ```
 *
 * It does not keep what else a handler does, such as calls of other services, from being repeated.
 */
import type { DataSource, EntityManager } from 'typeorm';
import type { TransactionalCheckpointStore } from '../consumer/index.ts';
import { SqlCheckpointStore } from './sql-checkpoint.ts';

/**
 * Keeps the checkpoints of consumers in a table of a database, `varlog_consumer`, which is made where it is not there. A
 * handler writes by the `transaction` that it is given: what it writes and the checkpoint are committed together, so each
 * record takes effect once, over crashes and restarts. A handler that fails leaves nothing. One that commits or rolls back
 * this transaction by itself has failed (`HANDLER_FAILED`).
 *
 * With SQLite, records are done one after the other, whatever `concurrency` is, and the DataSource should be used by
 * nothing else: it has one connection, so that a transaction of somebody else's would become a part of this one. With
 * Postgres, as many as `concurrency` says at a time, each on a connection of the pool. Throws `INVALID_ARGUMENT` for
 * other databases.
 */
export function sqlCheckpoint(dataSource: DataSource): TransactionalCheckpointStore<EntityManager> {
  return new SqlCheckpointStore(dataSource);
}
