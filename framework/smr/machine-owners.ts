import { VarlogError } from '../base/index.ts';

/** Machines that an applier has now. */
const owned = new WeakSet<object>();
/** Machines whose state is not the one any more that they were made with. */
const used = new WeakSet<object>();

/**
 * Whether the machine is a new one. Throws `INVALID_ARGUMENT` where another applier has it: each command would change it
 * twice.
 */
export function claim(machine: object): boolean {
  if (owned.has(machine)) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: 'the machine is one that another replica has',
      because: 'each would apply all commands to it',
      next: 'give every replica a machine of its own: new MyMachine()',
    });
  }
  owned.add(machine);
  return !used.has(machine);
}

export function release(machine: object): void {
  owned.delete(machine);
}

/** From now on it has a state. */
export function markUsed(machine: object): void {
  used.add(machine);
}

/** For a machine that is to begin with the log, and is no new one. */
export function usedMachine(): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'the machine has the state that it had in another replica',
    because: 'this one has no snapshot to restore, and would apply all commands to it once more',
    next: 'give every replica a new machine, also at a restart: new MyMachine()',
  });
}
