import type { LogEntry } from '../base/index.ts';
import type { Admission } from './admission.ts';

/**
 * A machine wherever its state lies, as a {@link Follower} drives it: one call at a time, with what the log holds, in
 * the order of the log.
 */
export interface Applier {
  /** What decides on entries before the machine sees them. The follower binds it to the log before the first entry. */
  readonly admission: Admission;
  /** Everything up to here is in the state: following begins after it, also after an error. */
  readonly position: number;
  /** Called once, before the first entry. MUST NOT reject. */
  begin(): Promise<void> | void;
  /**
   * Applies entries; those up to `position` come again after an error, and MUST be passed over. MUST tell the follower
   * what was decided of each command, and then how far the state is: everything up to `through`, after which more
   * entries are to come. MAY throw in the middle: {@link recover} follows.
   */
  apply(entries: readonly LogEntry[], through: number): Promise<void> | void;
  /** The log begins after `position`, with this snapshot. MUST throw where the state cannot go on from there. */
  restore(state: AsyncIterable<Uint8Array>, position: number): Promise<void> | void;
  /**
   * After `apply` or `restore` threw. Resolves with whether following goes on, from `position`; MAY reject with a
   * better reason why it does not.
   */
  recover(error: unknown): Promise<boolean>;
  /**
   * The replica ended: nothing comes any more when `following` has resolved. Resolves when everything was let go of.
   * `failure` is `undefined` where it was closed.
   */
  end(following: Promise<void>, failure: unknown): Promise<void>;
}
