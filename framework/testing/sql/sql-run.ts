import type { DataSource, EntityManager } from 'typeorm';
import { type Ports, reasonOf, VarlogError } from '../../base/index.ts';
import type { ApplyContext } from '../../smr/index.ts';
import { type SqlStateMachine, startSqlReplica } from '../../smr/sql/index.ts';
import { defect } from '../machines/defect.ts';
import { outcomeDifference } from '../machines/difference.ts';
import { type AppliedCommand, type Numbered, numberedCodec } from '../machines/observed-machine.ts';
import type { Plan } from '../machines/plan.ts';
import { notDeterministic } from '../machines/replay.ts';
import {
  brokenInvariant,
  type Life,
  ReplicaRun,
  type RunOutcome,
  SETTLE_MS,
} from '../machines/replica-run.ts';
import { type SimulatedDatabase, SimulatedSqlite } from './simulated-sqlite.ts';
import { SqlRehearsal } from './sql-rehearsal.ts';
import type { SqlSubject } from './sql-subject.ts';

/** Who starts on the database of a process that was killed waits for so long. */
const TAKE_OVER_MS = 500;
/** A statement takes this part of the time that a message takes. */
const STATEMENT_PART = 0.1;

export interface SqlRunOptions {
  readonly dataSource: (database: SimulatedDatabase) => DataSource;
  readonly invariant?: ((manager: EntityManager) => unknown) | undefined;
  readonly told: boolean;
}

/** Runs a plan with a machine in SQL. */
export function runSqlMachine<Command, Result>(
  subject: SqlSubject<Command, Result>,
  plan: Plan,
  options: SqlRunOptions,
): Promise<RunOutcome> {
  return new SqlRun(subject, plan, options).play();
}

class SqlRun<Command, Result> extends ReplicaRun<Command, Result> {
  private readonly subject: SqlSubject<Command, Result>;
  private readonly options: SqlRunOptions;
  private readonly databases = new Map<string, SimulatedSqlite>();
  /** Replicas of which the next command that is applied is not committed. */
  private readonly failing = new Set<string>();

  constructor(subject: SqlSubject<Command, Result>, plan: Plan, options: SqlRunOptions) {
    super(subject, plan, options.told);
    this.subject = subject;
    this.options = options;
    for (const [i, name] of plan.replicas.entries())
      this.databases.set(name, this.newDatabase(i % 2 === 1));
  }

  protected override async begin(name: string, ports: Ports): Promise<Life<Command, Result>> {
    const { subject, plan } = this;
    const database = this.databases.get(name)!;
    const dataSource = await this.open(database, ports, plan.latencyMs * STATEMENT_PART);
    const before = database.position;
    if (before > 0) this.check(() => this.restored(name, before, database.state()));
    const { command, result, change } = subject;
    const replica = await startSqlReplica<Numbered<Command>, Result>({
      machine: this.observed(name, database),
      dataSource,
      log: this.links.get(name)!.asOrderedLog(ports.clock),
      codec: { command: numberedCodec(command), result, change },
      ports,
      batchMax: ports.random.below(2) === 0 ? 1 : 5,
      takeOverMs: TAKE_OVER_MS,
      callTimeoutMs: Number.POSITIVE_INFINITY,
    });
    replica.status$.subscribe((it) => this.heed(it));
    return {
      get position() {
        return replica.position;
      },
      execute: (given, options) => replica.execute(given, options),
      askPosition: () => replica.query(async () => replica.position),
      // In its turn: nothing is applied meanwhile.
      look: () =>
        replica.query(async () => ({ position: database.position, state: database.state() }), {
          consistency: 'stale',
        }),
      caughtUp: () => replica.caughtUp(),
      close: () => replica.close(),
    };
  }

  protected override ended(name: string, loses: 'nothing' | 'unsynced' | 'disk'): void {
    this.failing.delete(name);
    this.databases.get(name)!.end(loses);
  }

  protected override failTransaction(name: string): void {
    this.failing.add(name);
  }

  protected override closed(): void {
    for (const it of this.databases.values()) it.end('disk');
  }

  /** On a database of its own, in which nothing ever failed. */
  protected override async rehearse(): Promise<void> {
    const { subject, history, world } = this;
    // Unlike the first replica, so that also a plan of one replica has both orders.
    const database = this.newDatabase(true);
    this.databases.set('rehearsal', database);
    await world.play(async () => {
      const source = await this.open(database, world.ports('rehearsal'), 0);
      await source.runMigrations({ transaction: 'each' });
      const rehearsal = new SqlRehearsal(subject, database, source);
      for (const step of history.steps) {
        const places = [`at replica ${step.replica}`, 'in a database that never failed'] as const;
        const found = outcomeDifference(subject, step, await rehearsal.apply(step), places);
        if (found !== undefined) throw notDeterministic(step.position, found);
      }
    }, SETTLE_MS);
  }

  private newDatabase(backwards: boolean): SimulatedSqlite {
    const syncEvery = this.plan.snapshotEvery;
    return new SimulatedSqlite(this.options.dataSource, { syncEvery, backwards });
  }

  private open(
    database: SimulatedSqlite,
    { clock }: Pick<Ports, 'clock'>,
    statementMs: number,
  ): Promise<DataSource> {
    const refused = (error: Error): void =>
      this.world.fail(defect('nondeterministic', 0, { what: reasonOf(error), cause: error }));
    return database.open({ clock, statementMs, refused });
  }

  private observed(
    name: string,
    database: SimulatedSqlite,
  ): SqlStateMachine<Numbered<Command>, Result> {
    const { subject } = this;
    const machine = subject.make();
    const { rules, rulesFrom } = machine;
    const apply = async (
      { number, command }: Numbered<Command>,
      manager: EntityManager,
      context: ApplyContext<never>,
    ): Promise<Result> => {
      const { position, index, time, timer } = context;
      const bytes = subject.command.encode(command);
      const result = await machine.apply(command, manager, context);
      const applied: AppliedCommand<Result> = {
        ...{ number, position, index, time, timer },
        command: bytes,
        result,
      };
      this.check(() => this.applied(name, applied, database.state()));
      await this.checkInvariant(name, manager, position);
      if (this.failing.delete(name))
        throw new Error('the database failed, as the simulation has it');
      return result;
    };
    return { apply, ...(rules && { rules }), ...(rulesFrom && { rulesFrom }) };
  }

  private async checkInvariant(
    name: string,
    manager: EntityManager,
    position: number,
  ): Promise<void> {
    try {
      const holds = await this.options.invariant?.(manager);
      if (holds === false) this.world.fail(brokenInvariant(name, position));
    } catch (error) {
      if (VarlogError.is(error, 'MACHINE_DEFECT')) throw error;
      this.world.fail(brokenInvariant(name, position, reasonOf(error), error));
    }
  }
}
