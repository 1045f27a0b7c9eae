/** What a turn brought, for the parts of a member. */
export interface TurnOutcome {
  /** Reads that were confirmed: everything up to `index` must be seen by them. */
  readonly reads: readonly { context: number; index: number }[];
  /** Reads that must be asked again: leadership changed meanwhile. */
  readonly droppedReads: readonly number[];
}

/**
 * A part of a member that works with the driver, turn by turn. Parts are called in the order in which they were added;
 * none of their methods MAY throw.
 */
export interface TurnPart {
  /** Before the core's effects are taken: the place to propose and to ask. */
  beforeTurn?(): void;
  /** This member leads, and the commit index moved: before the rest of the turn. */
  onCommit?(): void;
  /** The core's effects were taken. */
  afterTurn?(outcome: TurnOutcome): void;
  /** Whether something waits that has a deadline: then {@link onTick} is called with each tick. */
  readonly isWaiting?: boolean;
  /** Fails what has waited for too long. Returns whether a turn is needed for what still waits. */
  onTick?(): boolean;
}
