import type { ApplyContext, StateMachine } from '../index.ts';
import { type LockCommand, type LockResult, LockTable, type LockTableState } from './lock-table.ts';

export interface LockingCommand {
  readonly lock: LockCommand;
}

/** A machine that has nothing but locks. */
export class Locking implements StateMachine<LockingCommand, LockResult, LockTableState> {
  readonly locks = new LockTable<LockingCommand>((lock) => ({ lock }));

  apply({ lock }: LockingCommand, context: ApplyContext<LockingCommand>): LockResult {
    return this.locks.apply(lock, context);
  }

  snapshot(): LockTableState {
    return this.locks.snapshot();
  }

  restore(state: LockTableState): void {
    this.locks.restore(state);
  }
}
