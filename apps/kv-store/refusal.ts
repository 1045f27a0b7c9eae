/** Why a command of etcd's interface takes no effect. Part of what is stored: never rename one. */
export type Refusal =
  /** The revision asked for was compacted. */
  | 'compacted'
  /** The revision asked for is ahead. */
  | 'futureRevision'
  /** A put is to keep a value or a lease, and there is no such key. */
  | 'keyNotFound'
  | 'leaseNotFound'
  | 'leaseExists'
  /** No more commands can be scheduled, and a lease needs one. */
  | 'tooManyLeases'
  /** What a transaction has read would be too large to keep. */
  | 'answerTooLarge';

/** Thrown by what finds a reason, before anything has changed, and caught by the machine. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal);
    this.refusal = refusal;
  }
}
