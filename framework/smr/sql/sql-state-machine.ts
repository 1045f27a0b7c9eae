import type { EntityManager } from 'typeorm';
import type { ApplyContext } from '../state-machine.ts';

/**
 * A deterministic machine whose state lies in a SQL database. The same commands in the same order
 * give the same rows and results on every replica, each of which has a database of its own.
 */
export interface SqlStateMachine<Command, Result> {
  /**
   * Changes rows through `manager` and nothing else, in a transaction that also keeps the position of
   * the command and its result. It must not read clocks, randomness, files or the network, nor begin
   * work that it does not await. A refused command is a result; an exception rolls back, is tried
   * again, and stops the replica in the end: a command is never skipped. So memory of its own, a
   * cache, must not outlive the call.
   */
  apply(command: Command, manager: EntityManager, context: ApplyContext): Promise<Result>;
}
