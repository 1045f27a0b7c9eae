import { checkNames, type OptionNames, shown, VarlogError } from '../../base/index.ts';
import type { ReplicaCodecs, StateMachine } from '../../smr/index.ts';
import { WALL_START_MS } from '../simulator/clock.ts';
import { defect } from './defect.ts';
import { differenceOf, outcomeDifference } from './difference.ts';
import { type MachineSource, type Subject, subjectOf } from './machine-source.ts';
import { Rehearsal } from './rehearsal.ts';
import type { Step, StepOutcome } from './step.ts';

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
  const subject = checked('checkReplay', source, commands, options);
  try {
    const [first, second] = [new Rehearsal(subject), new Rehearsal(subject)];
    for (const step of stepsOf(subject, commands))
      checkSame(subject, step, first.apply(step), second.apply(step));
    first.checkResults();
  } catch (error) {
    throw subject.losses.explained(error);
  }
}

/**
 * Checks that a snapshot is the whole state. After each command a machine that is restored from the snapshot must make
 * the same snapshot, and do the same at the next command: a new machine, and one that has another state already. One in
 * pieces must stay as it was while the machine goes on, and must not replace anything where it cannot be read to its end.
 * Rejects with `MACHINE_DEFECT`, and with `INVALID_ARGUMENT`.
 *
 * ```ts
 * await checkSnapshots(Counter, [{ add: 1 }, { add: 2 }]);
 * ```
 */
export async function checkSnapshots<Command, Result, Snapshot, Machine>(
  source: MachineSource<Machine & StateMachine<Command, Result, Snapshot>>,
  commands: readonly Command[],
  options: ReplayOptions<Command, Result, Snapshot> = {},
): Promise<void> {
  const subject = checked('checkSnapshots', source, commands, options);
  try {
    await checkRestores(subject, stepsOf(subject, commands));
  } catch (error) {
    throw subject.losses.explained(error);
  }
}

const NAMES: OptionNames<ReplayOptions<never, never, never>> = { codec: true };

function checked<Command, Result, Snapshot, Machine>(
  name: string,
  source: MachineSource<Machine & StateMachine<Command, Result, Snapshot>>,
  commands: readonly Command[],
  options: ReplayOptions<Command, Result, Snapshot>,
): Subject<Command, Result, Snapshot, Machine> {
  checkNames(options, NAMES, name);
  checkCommands(commands);
  return subjectOf<Command, Result, Snapshot, Machine>(source, options.codec);
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
export async function checkRestores<Command, Result, Snapshot, Machine>(
  subject: Subject<Command, Result, Snapshot, Machine>,
  steps: readonly Step[],
): Promise<void> {
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
    await straight.restoreInPart(state, position);
    for (const [restored, who] of [
      [new Rehearsal(subject), 'a new machine'],
      [straight, 'a machine that had another state before'],
    ] as const) {
      await restored.restore(state, position);
      const again = { at: 'after `restore`', bytes: restored.state(position).bytes };
      const made = differenceOf(
        'state',
        subject.state,
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
