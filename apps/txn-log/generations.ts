import type { EntityManager } from 'typeorm';

/**
 * Which generations of a ledger's database there are, by number, and which of them is in force. The first one is 0. It is told
 * by a mark outside of them, so that a crash leaves one in force, always.
 */
export interface Generations {
  /** The one in force. Waits for a change of it that is under way, also of another process. */
  inForce(): Promise<number>;
  /** All others, which are being made, or were left behind. */
  others(): Promise<number[]>;
  /** Makes room for another one. Rejects with `FAILED_PRECONDITION` where this is no place for one. */
  add(): Promise<number>;
  /** Puts one in force in the place of the one before, of which `manager` is: with its transaction at the latest. */
  putInForce(generation: number, manager: EntityManager): Promise<void>;
  /** Removes one that nobody has open. Does nothing where it is the one in force. */
  remove(generation: number): Promise<void>;
}
