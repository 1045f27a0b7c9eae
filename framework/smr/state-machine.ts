/** What a machine may know beside the command. All of it comes from the log: equal on every replica. */
export interface ApplyContext {
  /** Position of the command in the log. */
  readonly position: number;
  /** Milliseconds since 1970, from the log. Never goes back. */
  readonly time: number;
  /** A number from 0 (included) to 1 (excluded), from a sequence that is seeded by the position. */
  random(): number;
}

/**
 * A deterministic machine in memory: the same commands in the same order give the same state and
 * results on every replica. `apply` must not read clocks, randomness, files or the network; time and
 * random numbers are in the context, which is only valid during the call. A refused command is a
 * result; an exception is a bug and stops the replica.
 */
export interface StateMachine<Command, Result, Snapshot = unknown> {
  apply(command: Command, context: ApplyContext): Result;
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
}
