/** What a machine may know beside the command. All of it comes from the log: equal on every replica. */
export interface ApplyContext {
  /** Position of the command in the log. */
  readonly position: number;
  /** Milliseconds since 1970, from the log. Never goes back. */
  readonly time: number;
  /**
   * Version of the rules in force: at least 1, and raised by an entry of the log alone. A machine whose code knows more
   * than one does what the one in force says, so that replicas of different code never answer differently.
   */
  readonly rules: number;
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
  /** The whole state. It is encoded before anything else is applied, so it need not be a copy. */
  snapshot(): Snapshot;
  /** Replaces the whole state. */
  restore(snapshot: Snapshot): void;
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
