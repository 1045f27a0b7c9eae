import { reasonOf, VarlogError } from '../../base/index.ts';
import type { ReplicaCodecs, StateMachine } from '../../smr/index.ts';
import { type CommandPlace, LogContext } from '../../smr/log-context.ts';
import { isPromise } from '../../smr/machine-runner.ts';
import { checkNames, type OptionNames, shown } from '../../smr/option-checks.ts';
import { Rules } from '../../smr/rules.ts';
import { TIMER_LIMITS, TimerTable } from '../../smr/timer-table.ts';
import { WALL_START_MS } from '../simulator/clock.ts';
import { defect } from './defect.ts';
import { differenceOf } from './difference.ts';
import { type MachineSource, type Subject, subjectOf } from './machine-source.ts';

/** A command at its place in the log, as its bytes lie there. */
export interface Step extends CommandPlace {
  readonly command: Uint8Array;
}

/** What a command came to, encoded. */
export interface StepOutcome {
  readonly result: Uint8Array;
  /** The machine's snapshot after it. */
  readonly state: Uint8Array;
}

export interface ReplayOptions<Command, Result, Snapshot> {
  /** As `startReplica` is given it. Default: JSON. */
  codec?: ReplicaCodecs<Command, Result, Snapshot>;
}

/**
 * Applies the commands to two new machines, one beside the other: results and snapshots must be the same after each of
 * them, and a result must not change any more once it was given out. Throws `MACHINE_DEFECT`.
 *
 * ```ts
 * checkReplay(Counter, [{ add: 1 }, { add: 2 }]);
 * ```
 */
export function checkReplay<Command, Result, Snapshot, Machine>(
  source: MachineSource<Machine & StateMachine<Command, Result, Snapshot>>,
  commands: readonly Command[],
  options: ReplayOptions<Command, Result, Snapshot> = {},
): void {
  check('checkReplay', source, commands, options, (subject, steps) => {
    const [first, second] = [new Rehearsal(subject), new Rehearsal(subject)];
    for (const step of steps) checkSame(subject, step, first.apply(step), second.apply(step));
    first.checkResults();
  });
}

/**
 * Checks that a snapshot is the whole state. After each command a machine that is restored from the snapshot must make
 * the same snapshot, and do the same at the next command: a new machine, and one that has another state already. Throws
 * `MACHINE_DEFECT`.
 *
 * ```ts
 * checkSnapshots(Counter, [{ add: 1 }, { add: 2 }]);
 * ```
 */
export function checkSnapshots<Command, Result, Snapshot, Machine>(
  source: MachineSource<Machine & StateMachine<Command, Result, Snapshot>>,
  commands: readonly Command[],
  options: ReplayOptions<Command, Result, Snapshot> = {},
): void {
  check('checkSnapshots', source, commands, options, checkRestores);
}

const NAMES: OptionNames<ReplayOptions<never, never, never>> = { codec: true };

function check<Command, Result, Snapshot, Machine>(
  name: string,
  source: MachineSource<Machine & StateMachine<Command, Result, Snapshot>>,
  commands: readonly Command[],
  options: ReplayOptions<Command, Result, Snapshot>,
  work: (subject: Subject<Command, Result, Snapshot, Machine>, steps: readonly Step[]) => void,
): void {
  checkNames(options, NAMES, name);
  checkCommands(commands);
  const subject = subjectOf<Command, Result, Snapshot, Machine>(source, options.codec);
  try {
    work(subject, stepsOf(subject, commands));
  } catch (error) {
    throw subject.losses.explained(error);
  }
}

/** Throws `INVALID_ARGUMENT` for what is no list. */
export function checkCommands(commands: readonly unknown[]): void {
  if (Array.isArray(commands)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the commands are ${shown(commands)}`,
    next: 'give a list of them: [{ add: 1 }]',
  });
}

/** See {@link checkSnapshots}. */
export function checkRestores<Command, Result, Snapshot, Machine>(
  subject: Subject<Command, Result, Snapshot, Machine>,
  steps: readonly Step[],
): void {
  const straight = new Rehearsal(subject);
  const states = [straight.state(0)];
  const outcomes = steps.map((step) => {
    const outcome = straight.apply(step);
    states.push(straight.state(step.position));
    return outcome;
  });
  // Backwards, so that it always has a later state than the one that it is to take over.
  for (let i = states.length - 1; i >= 0; i--) {
    const [position, state] = [steps[i - 1]?.position ?? 0, states[i]!];
    for (const [restored, who] of [
      [new Rehearsal(subject), 'a new machine'],
      [straight, 'a machine that had another state before'],
    ] as const) {
      restored.restore(state, position);
      const again = { at: 'after `restore`', bytes: restored.state(position).bytes };
      const made = differenceOf(
        'state',
        subject.snapshot,
        { at: 'in the snapshot', bytes: state.bytes },
        again,
      );
      if (made !== undefined) throw incomplete(position, who, made);
      if (i === steps.length) continue;
      const found = outcomeDifference(subject, outcomes[i]!, restored.apply(steps[i]!), [
        'where the machine went on',
        'where it was restored',
      ]);
      if (found !== undefined) throw incomplete(position, who, `with the next command, ${found}`);
    }
  }
}

/** Where two machines came to different things with one command; `undefined` where they did not. */
export function outcomeDifference<Command, Result, Snapshot, Machine>(
  subject: Subject<Command, Result, Snapshot, Machine>,
  one: StepOutcome,
  other: StepOutcome,
  [here, there]: readonly [string, string],
): string | undefined {
  const pair = (part: keyof StepOutcome) =>
    [
      { at: here, bytes: one[part] },
      { at: there, bytes: other[part] },
    ] as const;
  return (
    differenceOf('result', subject.result, ...pair('result')) ??
    differenceOf('state', subject.snapshot, ...pair('state'))
  );
}

/** A state, encoded, and what was scheduled then. */
interface RehearsedState {
  readonly bytes: Uint8Array;
  readonly timers: Parameters<TimerTable['restore']>;
}

/** A machine that applies commands outside of a replica, and keeps an eye on the results that it has given out. */
export class Rehearsal<Command, Result, Snapshot, Machine> {
  private readonly subject: Subject<Command, Result, Snapshot, Machine>;
  private readonly machine: Machine & StateMachine<Command, Result, Snapshot>;
  private readonly timers = new TimerTable(TIMER_LIMITS);
  private readonly context: LogContext<Command>;
  private readonly given: { position: number; result: Result; bytes: Uint8Array }[] = [];

  constructor(subject: Subject<Command, Result, Snapshot, Machine>) {
    this.subject = subject;
    this.machine = subject.make();
    this.context = new LogContext(this.timers, subject, new Rules(this.machine));
  }

  /** What is due at a time of the log, before the entry at `position`: each is to be applied before the next is taken. */
  due(position: number, time: number): Iterable<Step> {
    return this.timers.due(position, time);
  }

  /** Throws `MACHINE_DEFECT` where the machine throws. */
  apply(step: Step): StepOutcome {
    const { subject, machine, context } = this;
    const { position, timer, command } = step;
    return guarded(position, 'apply the command', () => {
      if (timer !== undefined) this.timers.cancel(timer);
      context.begin(step);
      const result = machine.apply(subject.command.decode(command), context);
      context.end();
      if (isPromise(result)) throw new TypeError('it answered with a promise');
      const bytes = subject.result.encode(result);
      this.given.push({ position, result, bytes });
      return { result: bytes, state: subject.snapshot.encode(machine.snapshot()) };
    });
  }

  restore({ bytes, timers }: RehearsedState, position: number): void {
    const { subject, machine } = this;
    this.timers.restore(...timers);
    guarded(position, 'restore the snapshot', () => {
      const restored = machine.restore(subject.snapshot.decode(bytes));
      if (isPromise(restored))
        throw new TypeError('a state that is handed over whole is restored at once');
    });
  }

  state(position: number): RehearsedState {
    const { subject, machine, timers } = this;
    const encode = (): Uint8Array => subject.snapshot.encode(machine.snapshot());
    const bytes = guarded(position, 'make a snapshot', encode);
    return { bytes, timers: [[...timers.encode()], timers.made] };
  }

  /** Throws where a result is not any more what it was. */
  checkResults(): void {
    const { subject } = this;
    for (const { position, result, bytes } of this.given) {
      const before = { at: 'when it was given', bytes };
      const now = { at: 'later', bytes: subject.result.encode(result) };
      const found = differenceOf('result', subject.result, before, now);
      if (found === undefined) continue;
      throw defect('sharedResult', position, {
        what: `the result of the command at position ${position} changed after it was given: ${found}`,
        because: 'the machine gives out a part of its own state, and goes on changing it',
        next: 'return a copy',
      });
    }
  }
}

/** Throws where machines came to different things with one command. */
function checkSame<Command, Result, Snapshot, Machine>(
  subject: Subject<Command, Result, Snapshot, Machine>,
  { position }: Step,
  one: StepOutcome,
  other: StepOutcome,
): void {
  const places = ['at one machine', 'at the other'] as const;
  const found = outcomeDifference(subject, one, other, places);
  if (found !== undefined) throw notDeterministic(position, found);
}

export function notDeterministic(position: number, found: string): Error {
  return defect('nondeterministic', position, {
    what: `the same commands led to something else at position ${position}: ${found}`,
    because:
      'the machine knows more than its commands: a clock, chance, or what machines have in common',
    next: 'take time and random numbers from the context of `apply`, and keep all state in the machine',
  });
}

function incomplete(position: number, who: string, found: string): Error {
  return defect('snapshot', position, {
    what: `${who}, restored from the snapshot of position ${position}, is another one: ${found}`,
    because: '`snapshot` leaves something out, or `restore` does not replace everything',
    next: 'put the whole state into the snapshot, and replace all of it',
  });
}

function guarded<T>(position: number, task: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (VarlogError.is(cause, 'MACHINE_DEFECT')) throw cause;
    throw defect('threw', position, {
      what: `the machine could not ${task} at position ${position}: ${reasonOf(cause)}`,
      next: 'make a refused command a result: an exception stops every replica',
      cause,
    });
  }
}

/** The commands as they would lie in a log, one after the other, a millisecond apart; and those that are due in between. */
function stepsOf<Command, Result, Snapshot, Machine>(
  subject: Subject<Command, Result, Snapshot, Machine>,
  commands: readonly Command[],
): Step[] {
  const rehearsal = new Rehearsal(subject);
  const steps: Step[] = [];
  const take = (step: Step): void => {
    rehearsal.apply(step);
    steps.push(step);
  };
  for (const [i, command] of commands.entries()) {
    const [position, time] = [i + 1, WALL_START_MS + i];
    let index = 0;
    for (const due of rehearsal.due(position, time)) {
      take(due);
      index++;
    }
    const bytes = subject.command.encode(command);
    take({ position, index, time, timer: undefined, command: bytes });
  }
  return steps;
}
