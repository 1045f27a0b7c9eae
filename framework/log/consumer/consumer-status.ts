import type { VarlogError } from '../../base/index.ts';

/** What a consumer is doing. */
export interface ConsumerStatus {
  /**
   * `starting`: it is being opened. `running`: it is given records. `draining`: it takes no more, and ends what has begun.
   * `stopped`: it ended by itself, with `error`. `closed`: it was closed.
   */
  readonly state: 'starting' | 'running' | 'draining' | 'stopped' | 'closed';
  /** Which life of the consumer it is; 0 while it is being opened. */
  readonly epoch: number;
  /** Everything up to here is done, but for what is parked. */
  readonly position: number;
  /** The last record of the topic, as of about a second ago. */
  readonly tail: number;
  /** Records from `position` to `tail`. */
  readonly lag: number;
  /** Records that were received and are not done. */
  readonly inFlight: number;
  /** Records that are put aside, by this life and those before. */
  readonly parked: number;
  /** Records that this life has passed over. */
  readonly skipped: number;
  /** The oldest record that has failed and is tried again. */
  readonly retrying?: RetriedRecord;
  /** What is in its way although it goes on: a cluster or a checkpoint store that does not answer. */
  readonly trouble?: unknown;
  /** Why it stopped. */
  readonly error?: VarlogError;
}

/** A record that has failed and is tried again. */
export interface RetriedRecord {
  readonly glsn: number;
  /** How often it has failed so far. */
  readonly attempts: number;
  /** What the handler threw the last time. */
  readonly cause: unknown;
}

/** Whether a consumer does what it should. */
export interface ConsumerHealth {
  readonly ok: boolean;
  /** What is wrong; absent where nothing is. */
  readonly reason?: string;
}
