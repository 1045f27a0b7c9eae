import type { Codec } from '../../base/index.ts';
import { checkCodecs, commandCodecs, type ReplicaCodecs } from '../../smr/codecs.ts';
import { checkSqlMachine } from '../../smr/machine-checks.ts';
import { Rules } from '../../smr/rules.ts';
import type { SqlStateMachine } from '../../smr/sql/index.ts';
import { Losses } from '../machines/losses.ts';
import { calledPlainly, type MachineSource, makerOf } from '../machines/machine-source.ts';
import type { RunCodecs } from '../machines/replica-run.ts';
import { sqlStates } from './sql-states.ts';

export type SqlCodecs<Command, Result> = Pick<
  ReplicaCodecs<Command, Result, never>,
  'command' | 'result' | 'change'
>;

/** A machine in SQL to be tested, and how its values become bytes. */
export interface SqlSubject<Command, Result> extends RunCodecs<Command, Result> {
  /** For people. */
  readonly name: string;
  readonly make: () => SqlStateMachine<Command, Result>;
  readonly change: Codec<unknown>;
  readonly losses: Losses;
}

/** Throws `INVALID_ARGUMENT` for what makes no machines, and for codecs that are none. */
export function sqlSubjectOf<Command, Result>(
  source: MachineSource<SqlStateMachine<Command, Result>>,
  codec: SqlCodecs<Command, Result> | undefined,
): SqlSubject<Command, Result> {
  checkCodecs(codec);
  const make = makerOf(source);
  checkSqlMachine(calledPlainly<unknown>(make, source.name || 'what makes the machine'));
  const { command, result, change } = commandCodecs(codec, new Rules());
  const losses = new Losses();
  return {
    name: source.name || 'the machine',
    make,
    losses,
    command: losses.watch('command', command),
    result: losses.watch('result', result),
    change: losses.watch('change', change),
    state: sqlStates,
  };
}
