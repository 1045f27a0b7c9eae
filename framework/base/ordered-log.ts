/** A command at its place in the order. */
export interface LogEntry {
  readonly position: number;
  readonly command: Uint8Array;
}

/** What a follower is given, in order. */
export type Followed =
  | {
      readonly kind: 'entries';
      readonly entries: readonly LogEntry[];
      /** All commands up to here have been delivered; may be beyond the last entry's position. */
      readonly through: number;
    }
  | {
      /** The head of the log is gone: start from this state, then go on after `position`. */
      readonly kind: 'snapshot';
      readonly position: number;
      /**
       * The state, in parts as they are read. May be read before what comes next is asked for, and more than once. Throws
       * `CORRUPT`, at the end at the latest, where it is not what was kept.
       */
      readonly state: AsyncIterable<Uint8Array>;
    };

export interface LogCallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** What a trim came to. */
export interface Trimmed {
  /** Everything up to here is removed. */
  readonly position: number;
  /** Who needs what is behind `position`, where that kept more from being removed. */
  readonly heldBackBy?: { readonly holder: string; readonly position: number };
}

/**
 * A totally ordered, durable log: all that a replicated state machine needs. A Raft group, a Varlog
 * topic and the in-memory log implement it, and one contract suite tests all three.
 *
 * ```
 *        snapshot        first … entries … tail
 *   ─────────┤ compacted ├──────────────────┤
 *            position    position + 1       the last committed position
 * ```
 *
 * Positions count from 1 and grow; they need not be dense, because a log may keep entries of its own.
 */
export interface OrderedLog {
  /**
   * Which log this is, of all that were ever made: equal for everybody who reaches this log, and
   * different for one that was made anew under the same name or address. Waits until it is known, which
   * takes contact with a cluster, or the first leader that a group ever had.
   */
  identity(options?: LogCallOptions): Promise<string>;

  /**
   * Appends commands, side by side and in this order. Resolves with the position of the first one
   * when all are durable and ordered. An append that begins after another was acknowledged gets a
   * larger position. Rejects with a `VarlogError` whose `outcome` says whether the commands may
   * still appear: `notAppended` never, `unknown` perhaps, all of them, once.
   */
  append(commands: readonly Uint8Array[], options?: LogCallOptions): Promise<number>;

  /**
   * Delivers what was committed from position `from` on, and then what will be: each position once,
   * in order. Never ends on its own; resumes automatically after broken connections. When `from` was
   * compacted, the newest snapshot comes first if the log keeps snapshots; otherwise it throws
   * `TRIMMED` with `details.firstAvailable`. The consumer sets the pace. Ends quietly when
   * `options.signal` is aborted. What is no position, a whole number from 0 on, is refused with `INVALID_ARGUMENT`, by
   * this call or with the first that is asked for.
   */
  follow(from: number, options?: { signal?: AbortSignal }): AsyncIterable<Followed>;

  /**
   * The last committed position, 0 for none: at least that of every append that was acknowledged
   * before this call began, by any client (a linearizable read).
   */
  tail(options?: LogCallOptions): Promise<number>;

  /**
   * Hands over a state that stands for everything up to `position`, durably kept when this resolves.
   * The log may then drop those entries. A state that comes in parts is taken as the log has room for them; where it
   * throws, nothing is kept. Absent where a log keeps no snapshots: its user must.
   */
  compact?(position: number, state: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;

  /**
   * From now on the log keeps the entries after `position` (0: all) for `holder`, until that one moves its hold by
   * another call: whoever removes them in between is refused, unless told to do it all the same. Rejects with `TRIMMED`
   * when some of them are gone. Absent where a log drops only what a snapshot given to `compact` stands for.
   */
  hold?(holder: string, position: number, options?: LogCallOptions): Promise<void>;

  /**
   * Removes the entries up to `position` for good, as far as nobody holds them. Resolves with how far they are removed
   * now, and who held them back, where that is less. Absent where a log removes what a snapshot given to `compact` stands
   * for.
   */
  trim?(position: number, options?: LogCallOptions): Promise<Trimmed>;

  /**
   * Whoever follows this log here cannot go on: where the log is led by one of its members, this one leaves that to
   * the others until it is opened anew. Absent where nobody leads.
   */
  resign?(reason: string): void;

  /**
   * Whether it is this member that leads the log, as far as it knows: for what one of those who follow the log does for
   * all. Absent where nobody leads.
   */
  leads?(): boolean;
}

/** Something that is more than a log but can serve as one: a Varlog topic. */
export interface OrderedLogSource {
  asOrderedLog(): OrderedLog;
}
