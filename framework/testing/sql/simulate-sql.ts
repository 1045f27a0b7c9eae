import type { DataSource, EntityManager } from 'typeorm';
import { checkFunctions, checkNames, type OptionNames } from '../../base/index.ts';
import type { SqlStateMachine } from '../../smr/sql/index.ts';
import type { MachineSource } from '../machines/machine-source.ts';
import { MACHINE_FAULTS, type Plan } from '../machines/plan.ts';
import {
  runSimulation,
  SIMULATION_NAMES,
  type SimulationOptions,
  type SimulationReport,
} from '../machines/simulation.ts';
import type { SimulatedDatabase } from './simulated-sqlite.ts';
import { runSqlMachine } from './sql-run.ts';
import { type SqlCodecs, sqlSubjectOf } from './sql-subject.ts';

/** A run takes longer than one in memory. */
const SEEDS = 20;

export interface SimulateSqlOptions<Command, Result> extends SimulationOptions<Command> {
  /** How many seeds to run: as many different runs. Default 20. */
  seeds?: number;
  /**
   * Makes the DataSource of a replica, a new one each time: with these options, the entities of the machine, and its
   * migrations behind `sqlReplicaMigrations`.
   */
  dataSource: (database: SimulatedDatabase) => DataSource;
  /**
   * Is called after each command, in its transaction: it resolves with false or throws where something is not as it must
   * always be. It must change nothing.
   */
  invariant?: (manager: EntityManager) => unknown;
  /** As `startSqlReplica` is given it. Default: JSON. */
  codec?: SqlCodecs<Command, Result>;
}

const NAMES: OptionNames<SimulateSqlOptions<never, never>> = {
  ...SIMULATION_NAMES,
  dataSource: true,
  invariant: true,
  codec: true,
};

/**
 * Runs replicas of a machine in SQL, each with a SQLite database of its own, on a log in virtual time, with clients and
 * faults that are drawn from seeds: as `simulate` does it for machines in memory, and with transactions that fail. Processes
 * end between any two statements, and lose what was not committed; where the power fails, also what was not synced yet.
 *
 * ```ts
 * await simulateSql(Counter, {
 *   dataSource: (database) =>
 *     new DataSource({
 *       ...database,
 *       migrations: [...sqlReplicaMigrations, CreateCounter1],
 *       migrationsTableName: 'varlog_migrations',
 *     }),
 *   workload: (random) => ({ add: random.below(10) }),
 * });
 * ```
 *
 * It checks that the machine is deterministic (all replicas come to the same result and the same rows of the machine's
 * tables at each position, as does a database that never failed, with a new machine for each command, also where rows come in
 * another order that SQLite leaves open; nothing reads the clock or chance of the process or of SQLite), that the invariant holds, and that all that clients were told is
 * linearizable, with the machine as the specification.
 *
 * Rejects as `simulate` does.
 */
export async function simulateSql<Command, Result>(
  source: MachineSource<SqlStateMachine<Command, Result>>,
  options: SimulateSqlOptions<Command, Result>,
): Promise<SimulationReport> {
  checkNames(options, NAMES, 'simulateSql');
  const { dataSource, invariant } = options;
  checkFunctions({ dataSource, ...(invariant && { invariant }) });
  const subject = sqlSubjectOf(source, options.codec);
  const simulation = {
    name: subject.name,
    command: subject.command,
    speculate: 0,
    faults: [...MACHINE_FAULTS, 'transaction'] as const,
    hint: () => subject.losses.hint,
    run: (plan: Plan, told: boolean) =>
      runSqlMachine(subject, plan, { dataSource, invariant, told }),
  };
  return runSimulation(simulation, { seeds: SEEDS, ...options });
}
