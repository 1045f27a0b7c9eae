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
   * work that it does not await, nor commit or roll back that transaction. A refused command is a result; an exception rolls back, is tried
   * again, and stops the replica in the end. So it may be called more than once for a command, each
   * time with a new context, and memory of its own, a cache, must not outlive the call.
   *
   * It may catch the error of a statement that the database refuses for what it says or for the rows
   * that there are, a duplicate key for example: that statement is undone alone, on SQLite as on
   * Postgres. Any other error of a statement (a lost connection, a full disk) fails the attempt, even
   * where it is caught: no other replica need meet it.
   */
  apply(
    command: Command,
    manager: EntityManager,
    context: ApplyContext<NoInfer<Command>>,
  ): Promise<Result>;
  /** The newest version of the rules that this code knows; see {@link ApplyContext.rules}. Default: 1. */
  readonly rules?: number;
  /** The oldest one that it still knows. Default: 1. */
  readonly rulesFrom?: number;
}
