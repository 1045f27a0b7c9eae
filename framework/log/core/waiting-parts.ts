import type { AtomicAppend } from '../../base/index.ts';

/** A part of an atomic append that lies in a log stream and is not ordered, as far as a replica knows. */
export interface WaitingPart extends AtomicAppend {
  /** LLSN of its first record. */
  readonly llsn: number;
  /** LLSN of its last record. */
  readonly end: number;
}

/**
 * The parts of atomic appends that a replica has beyond what is ordered, in the order of their LLSNs. It follows from the
 * records, so all replicas that have these know the same.
 */
export class WaitingParts {
  private parts: readonly WaitingPart[] = [];

  /** All of them. Replaced as a whole: whoever was given it may keep it. */
  get all(): readonly WaitingPart[] {
    return this.parts;
  }

  /** A part was stored, behind all others. */
  note(part: WaitingPart): void {
    this.parts = [...this.parts, part];
  }

  /** The records up to LLSN `end` are ordered. */
  ordered(end: number): void {
    if (this.parts.length > 0) this.parts = this.parts.filter((it) => it.end > end);
  }

  /** The records after LLSN `end` were cut off. */
  cut(end: number): void {
    if (this.parts.length > 0) this.parts = this.parts.filter((it) => it.end <= end);
  }
}
