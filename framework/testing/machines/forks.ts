import { defect } from './defect.ts';
import { differenceOf, outcomeDifference } from './difference.ts';
import type { Subject } from './machine-source.ts';
import { Rehearsal } from './rehearsal.ts';
import type { Step } from './step.ts';

/**
 * Before each command the machine is forked. The fork must be in the same state and come to the same with the command, and
 * neither may see what the other does. Throws `MACHINE_DEFECT`.
 */
export function checkForks<Command, Result, Snapshot, Machine>(
  subject: Subject<Command, Result, Snapshot, Machine>,
  steps: readonly Step[],
): void {
  const straight = new Rehearsal(subject);
  let before = 0;
  for (const step of steps) {
    const { position } = step;
    const state = straight.state(before).bytes;
    const unchanged = (who: string, at: string, seen: Uint8Array, now: Uint8Array): void => {
      const found = differenceOf(
        'state',
        subject.state,
        { at, bytes: seen },
        { at: who, bytes: now },
      );
      if (found !== undefined) throw brokenFork(position, found);
    };
    const fork = straight.fork(before);
    unchanged('in its fork', 'in the machine', state, fork.state(before).bytes);
    const guess = fork.apply(step);
    unchanged(
      'when its fork had applied the command',
      'in the machine before',
      state,
      straight.state(before).bytes,
    );
    const places = ['at a fork', 'at the machine'] as const;
    const outcome = straight.apply(step);
    const found = outcomeDifference(subject, guess, outcome, places);
    if (found !== undefined) throw brokenFork(position, found);
    unchanged(
      'when the machine had applied it too',
      'in the fork that had applied the command',
      guess.state,
      fork.state(position).bytes,
    );
    before = position;
  }
}

export function brokenFork(position: number, found: string): Error {
  return defect('fork', position, {
    what: `a fork is no copy of the machine, at position ${position}: ${found}`,
    because: '`fork` leaves something out, or shares with its machine what one of them changes',
    next: 'copy the whole state in `fork`: fork each VersionedMap, and share only values that are never changed',
  });
}
