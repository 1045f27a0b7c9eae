/**
 * Replicated services whose state lies in a SQL database, on any `OrderedLog`. Needs `typeorm` and a driver:
 * `better-sqlite3` or `pg`.
 *
 * ```ts
 * import { sqlReplicaMigrations, startSqlReplica } from 'varlog/smr/sql';
 *
 * const counter = await startSqlReplica({ machine, dataSource, log });
 * await counter.execute({ add: 1 });
 * ```
 *
 * It keeps no snapshots: the database is one.
 */
import {
  checkNames,
  type OptionNames,
  type OrderedLog,
  type OrderedLogSource,
  type Ports,
} from '../../base/index.ts';
import { realClock, realRandom } from '../../runtime/index.ts';
import { checkCodecs } from '../codecs.ts';
import { checkLog, checkSqlMachine } from '../machine-checks.ts';
import { COMMON_NAMES } from '../names.ts';
import { checkOptions } from '../option-checks.ts';
import { ReadOnlyLog } from '../read-only-log.ts';
import { SqlReplica } from './sql-replica.ts';
import type { SqlReplicaOptions } from './sql-replica-options.ts';

export { sqlReplicaMigrations } from './migrations.ts';
export type { SqlReplica } from './sql-replica.ts';
export type { SqlReplicaOptions } from './sql-replica-options.ts';
export type { SqlStateMachine } from './sql-state-machine.ts';

const NAMES: OptionNames<SqlReplicaOptions<never, never> & { ports: never }> = {
  ...COMMON_NAMES,
  dataSource: true,
  reader: true,
  batchMax: true,
  attemptsMax: true,
  takeOverMs: true,
};

/**
 * Starts a replica whose state lies in a SQL database. Effects, position and results change in one
 * transaction, so it goes on after its last command after any crash, without snapshots, and applies
 * each command once. Rejects with `INVALID_ARGUMENT`; with `LOG_MISMATCH` for the database of
 * another machine or log; with `ANOTHER_APPLIER` while another replica applies to it, in whichever
 * process; or with the database's error.
 *
 * ```ts
 * const dataSource = new DataSource({
 *   type: 'better-sqlite3',
 *   database: 'counter.db',
 *   entities: [CounterRow],
 *   migrations: [...sqlReplicaMigrations, CreateCounter1],
 *   migrationsTableName: 'varlog_migrations',
 * });
 * const machine: SqlStateMachine<{ add: number }, number> = {
 *   async apply({ add }, manager) {
 *     await manager.increment(CounterRow, { id: 1 }, 'value', add);
 *     return (await manager.findOneByOrFail(CounterRow, { id: 1 })).value;
 *   },
 * };
 * const counter = await startSqlReplica({ machine, dataSource, log });
 * await counter.execute({ add: 1 });
 * ```
 */
export async function startSqlReplica<Command, Result>(
  options: Omit<SqlReplicaOptions<Command, Result>, 'log'> & {
    log: OrderedLog | OrderedLogSource;
    ports?: Pick<Ports, 'clock' | 'random'>;
  },
): Promise<SqlReplica<Command, Result>> {
  checkNames(options, NAMES, 'startSqlReplica');
  checkOptions(options);
  checkCodecs(options.codec);
  checkSqlMachine(options.machine);
  checkLog(options.log);
  const ports = options.ports ?? { clock: realClock({ background: true }), random: realRandom };
  const given = 'asOrderedLog' in options.log ? options.log.asOrderedLog() : options.log;
  const log = options.readOnly === true ? new ReadOnlyLog(given) : given;
  const replica = new SqlReplica<Command, Result>({ ...options, log }, ports);
  // Whoever starts a replica waits for it: the process must not end meanwhile.
  await replica.start(options.ports?.clock ?? realClock());
  return replica;
}
