import type { Random } from '../../base/index.ts';

/** What one member's core is told once. */
export interface RaftOptions {
  /** This member's id, from 1. */
  readonly id: number;
  /** A follower that hears nothing for one to two times this many ticks campaigns. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** One append message carries about this many bytes. */
  readonly messageBytesMax: number;
  /** Bytes and messages on their way to one member. */
  readonly inflightBytesMax: number;
  readonly inflightMessagesMax: number;
  /** Proposals beyond this many uncommitted bytes are refused. */
  readonly uncommittedBytesMax: number;
  /** Newest entries that are kept in memory, for members that are nearly up to date. */
  readonly recentBytesMax: number;
  /**
   * Reads without asking a majority (thesis §6.4.1): for so long after a round of heartbeats began
   * that a majority answered, no other leader can be elected. Shorter than `electionTicks` last, by
   * more than clocks may drift apart; the same at all members that have one. Only members that have one too count
   * for that majority: others keep no such promise, and a group of which too few do has no leases.
   */
  readonly leaseMs?: number | undefined;
  /** Whether this member leaves it to others to lead; it votes all the same. Default: it does not. */
  readonly abstains?: () => boolean;
  readonly random: Random;
}
