/** What a machine may know beside the command. All of it comes from the log: equal on every replica. */
export interface ApplyContext<Command = unknown> {
  /** Position of the entry that has the command applied: its own, or the one that brought the time of a timer. */
  readonly position: number;
  /**
   * How many commands were applied at this position before: 0 where no timer was due. Position and index name a command
   * for ever, and grow with each.
   */
  readonly index: number;
  /** Milliseconds since 1970, from the log. Never goes back. */
  readonly time: number;
  /**
   * Version of the rules in force: at least 1, and raised by an entry of the log alone. A machine whose code knows more
   * than one does what the one in force says, so that replicas of different code never answer differently.
   */
  readonly rules: number;
  /** A number from 0 (included) to 1 (excluded), from a sequence that is seeded by the position. */
  random(): number;
  /** The timer that the command comes from; `undefined` for one that somebody executed. */
  readonly timer: number | undefined;
  /**
   * Has `command` applied by every replica at the same place of the log, when its time has come to `at`: before the first
   * entry with that time or a later one, and after those that were scheduled for earlier, or for the same time before.
   * What is due already is applied before the next entry whose time is later. Survives restarts, and is in snapshots. The log's time is
   * that of the clocks of those who write: where nobody does, replicas see to it that it goes on.
   *
   * @param at milliseconds since 1970, by the log's time
   * @returns the id of the timer, 1, 2, 3, …, equal on every replica; `undefined` where too much is scheduled
   *   (`timers` of the replica's options): answer with a refusal, and change nothing
   */
  schedule(at: number, command: Command): number | undefined;
  /** Calls a timer off. Whether it was waiting: one that has been applied is not. */
  cancel(timer: number): boolean;
  /**
   * Tells those who read `changes` of a replica, equally on all of them, in the order of the calls. Encoded at once, by the
   * codec of changes.
   */
  emit(change: unknown): void;
}

/**
 * A deterministic machine in memory: the same commands in the same order give the same state and
 * results on every replica. `apply` must not read clocks, randomness, files or the network; time and
 * random numbers are in the context, which is only valid during the call. A refused command is a
 * result; an exception is a bug and stops the replica.
 */
export interface StateMachine<Command, Result, Snapshot = unknown> {
  apply(command: Command, context: ApplyContext<NoInfer<Command>>): Result;
  /**
   * The whole state. It is encoded before anything else is applied, so it need not be a copy; but a large one stops the
   * replica for as long as that takes, and has to fit into one piece of memory. A machine with much state hands it over
   * by {@link inPieces} instead.
   */
  snapshot(): Snapshot;
  /**
   * Replaces the whole state. Where it is handed over in {@link Pieces}, it reads all of them, and then replaces the old
   * state at once, before it resolves: where reading throws, the old state MUST still be there.
   */
  restore(snapshot: Snapshot): Promise<void> | void;
  /**
   * Another machine in the same state: from then on either may be changed, and neither sees what the other does. For
   * `Replica.speculate`, which forks a machine often, so it must be cheap however large the state is: keep that in a
   * `VersionedMap` and fork it, and share values that are replaced and never changed.
   */
  fork?(): StateMachine<NoInfer<Command>, NoInfer<Result>, NoInfer<Snapshot>>;
  /** The newest version of the rules that this code knows; see {@link ApplyContext.rules}. Default: 1. */
  readonly rules?: number;
  /** The oldest one that it still knows. Default: 1. */
  readonly rulesFrom?: number;
  /**
   * A text that is equal where the state is, and different where it is not, for states that are too large to be looked at
   * as a whole each time: keep it up to date as the state changes. Default: a hash of `snapshot()`.
   */
  hash?(): string;
  /** The value under a key, for `varlog why`. */
  inspect?(key: string): unknown;
}
