import { checkNames, type OptionNames, shown, VarlogError } from '../../base/index.ts';
import { firstDifference } from '../../smr/first-difference.ts';
import type { ReplicaCodecs, StateMachine } from '../../smr/index.ts';
import { LogContext } from '../../smr/log-context.ts';
import { isPromise } from '../../smr/machine-runner.ts';
import { Rules } from '../../smr/rules.ts';
import { TIMER_LIMITS, TimerTable } from '../../smr/timer-table.ts';
import { WALL_START_MS } from '../simulator/clock.ts';
import { defect } from './defect.ts';
import { type Subject, subjectThatIs } from './machine-source.ts';
import { checkCommands } from './replay.ts';
import type { LookedAt } from './state-bytes.ts';

export interface GivenOptions<Command, Result, Snapshot> {
  /** The log's time at the first command, in milliseconds since 1970. Default: the beginning of 2020. */
  time?: number;
  /** As `startReplica` is given it. Default: JSON. */
  codec?: ReplicaCodecs<Command, Result, Snapshot>;
}

const NAMES: OptionNames<GivenOptions<never, never, never>> = { time: true, codec: true };

/** Machines that a scenario has had. */
const hadBefore = new WeakSet<object>();

/**
 * A machine that has applied these commands, for a test of what it does next. Commands, results and snapshots go through
 * the codec, as in a replica.
 *
 * ```ts
 * given(new Cart(), [{ add: 'apple' }])
 *   .when({ add: 'pear' })
 *   .then({ items: 2 })
 *   .thenState(['apple', 'pear']);
 * ```
 */
export function given<Command, Result, Snapshot, Machine>(
  machine: Machine & StateMachine<Command, Result, Snapshot>,
  commands: readonly Command[] = [],
  options: GivenOptions<Command, Result, Snapshot> = {},
): Scenario<Command, Result, Snapshot> {
  checkNames(options, NAMES, 'given');
  checkCommands(commands);
  if (options.time !== undefined && !Number.isFinite(options.time)) throw noTime(options.time);
  const subject = subjectThatIs<Command, Result, Snapshot, Machine>(machine, options.codec);
  const isUsed = hadBefore.has(machine);
  hadBefore.add(machine);
  const { time = WALL_START_MS } = options;
  const scenario = new Scenario<Command, Result, Snapshot>(subject, time, isUsed);
  for (const command of commands) scenario.when(command);
  return scenario;
}

/** What a machine does with one command after the other. Made by {@link given}. */
export class Scenario<Command, Result, Snapshot> {
  private readonly subject: Subject<Command, Result, Snapshot, unknown>;
  private readonly machine: StateMachine<Command, Result, Snapshot>;
  private readonly timers = new TimerTable(TIMER_LIMITS);
  private readonly context: LogContext<Command>;
  private position = 0;
  private time: number;
  /** Whether another scenario had the machine: it may have a state of before. */
  private readonly isUsed: boolean;
  private result: { readonly value: Result } | undefined;

  constructor(subject: Subject<Command, Result, Snapshot, unknown>, time: number, isUsed: boolean) {
    this.subject = subject;
    this.machine = subject.make();
    this.context = new LogContext(this.timers, subject, new Rules(this.machine));
    this.time = time;
    this.isUsed = isUsed;
  }

  /** The log's time from now on, in milliseconds since 1970; it never goes back. Applies what was scheduled until then. */
  at(time: number): this {
    if (!Number.isFinite(time)) throw noTime(time);
    this.time = Math.max(this.time, time);
    const { earliest } = this.timers;
    if (earliest === undefined || earliest > this.time) return this;
    this.position++;
    this.fire();
    return this;
  }

  /** Applies the next command, after what is due. What the machine throws is thrown. */
  when(command: Command): this {
    const { subject } = this;
    this.position++;
    const result = this.apply(subject.command.encode(command), this.fire(), undefined);
    this.result = { value: subject.result.decode(subject.result.encode(result)) };
    return this;
  }

  /** How many commands were due. */
  private fire(): number {
    let fired = 0;
    for (const { command, index, timer } of this.timers.due(this.position, this.time)) {
      this.apply(command, index, timer);
      fired++;
    }
    return fired;
  }

  private apply(command: Uint8Array, index: number, timer: number | undefined): Result {
    const { subject, machine, context, position, time } = this;
    context.begin({ position, index, time, timer });
    let result: Result;
    try {
      result = machine.apply(subject.command.decode(command), context);
    } catch (error) {
      throw subject.losses.explained(error);
    }
    context.end();
    if (isPromise(result)) throw promised(position);
    return result;
  }

  /** The last command had this result. Throws `MACHINE_DEFECT` otherwise. */
  // biome-ignore lint/suspicious/noThenProperty: it is what the third step of such a test is called, and awaiting it says so
  then(expected: Result): this {
    if (typeof expected === 'function') throw awaited();
    if (this.result === undefined) {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: 'there is no result yet',
        next: 'apply a command with `when` first',
      });
    }
    return this.compare('result', this.result.value, expected);
  }

  /** The machine's snapshot is this; in pieces, the list of them. Throws `MACHINE_DEFECT` otherwise. */
  thenState(expected: LookedAt<Snapshot>): this {
    const { state } = this.subject;
    return this.compare('state', state.decode(state.encode(this.machine.snapshot())), expected);
  }

  private compare(what: string, found: unknown, expected: unknown): this {
    const difference = firstDifference(found, expected, what);
    if (difference === undefined) return this;
    const { path, left, right } = difference;
    const differs = new VarlogError('MACHINE_DEFECT', {
      what: `after ${this.position} commands, ${path} is ${left}, and ${right} was expected`,
      ...(this.isUsed && USED),
      details: { position: this.position, found, expected },
    });
    throw this.subject.losses.explained(differs);
  }
}

const USED = {
  because: 'another scenario had the same machine before, and it has kept its state',
  next: 'give each scenario a new one: given(new MyMachine())',
};

function noTime(time: unknown): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `the time is ${shown(time)}`,
    next: 'give milliseconds since 1970: date.getTime()',
  });
}

function promised(position: number): VarlogError {
  return defect('threw', position, {
    what: `the machine answered command ${position} with a promise`,
    because:
      'what happens behind a promise depends on more than the log, and replicas would differ',
    next: 'make `apply` synchronous: do what must be awaited before the command is executed',
  });
}

function awaited(): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'a scenario is not to be awaited',
    because: 'machines are synchronous, and its `then` is the third step of the test',
    next: 'leave out the `await`',
  });
}
