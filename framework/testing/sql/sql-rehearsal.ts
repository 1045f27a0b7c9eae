import type { DataSource } from 'typeorm';
import { reasonOf } from '../../base/index.ts';
import { LogContext } from '../../smr/log-context.ts';
import { Rules } from '../../smr/rules.ts';
import { dialectOf } from '../../smr/sql/dialect.ts';
import { applyGuarded } from '../../smr/sql/statement-guard.ts';
import { TIMER_LIMITS, TimerTable } from '../../smr/timer-table.ts';
import { defect } from '../machines/defect.ts';
import type { Step, StepOutcome } from '../machines/step.ts';
import type { SimulatedSqlite } from './simulated-sqlite.ts';
import type { SqlSubject } from './sql-subject.ts';

/** Applies commands to a database of its own, outside of a replica. Each has a new machine: what one keeps in memory is not there. */
export class SqlRehearsal<Command, Result> {
  private readonly subject: SqlSubject<Command, Result>;
  private readonly database: SimulatedSqlite;
  private readonly source: DataSource;
  private readonly timers = new TimerTable(TIMER_LIMITS);

  constructor(subject: SqlSubject<Command, Result>, database: SimulatedSqlite, source: DataSource) {
    this.subject = subject;
    this.database = database;
    this.source = source;
  }

  /** Rejects with `MACHINE_DEFECT` where the machine throws. */
  async apply(step: Step): Promise<StepOutcome> {
    const { subject, source, database, timers } = this;
    const { position, timer, command } = step;
    if (timer !== undefined) timers.cancel(timer);
    const machine = subject.make();
    const context = new LogContext<Command>(timers, subject, new Rules(machine));
    try {
      return await source.transaction(async (manager) => {
        const result = await applyGuarded(manager, dialectOf(source), () => {
          context.begin(step);
          return machine.apply(subject.command.decode(command), manager, context);
        });
        context.end();
        return { result: subject.result.encode(result), state: database.state() };
      });
    } catch (cause) {
      throw defect('threw', position, {
        what: `the machine could not apply the command at position ${position}: ${reasonOf(cause)}`,
        next: 'make a refused command a result: an exception stops every replica',
        cause,
      });
    }
  }
}
