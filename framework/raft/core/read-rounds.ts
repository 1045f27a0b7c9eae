import type { LogIndex } from '../../base/index.ts';

/** A read that may be served once everything up to `index` is applied. */
export interface ConfirmedRead {
  readonly context: number;
  readonly index: LogIndex;
}

/**
 * ReadIndex (thesis §6.4), batched: all reads that wait when a round of heartbeats begins share it,
 * and one round is under way at a time. A read is confirmed only by answers to a round that began
 * after it.
 */
export class ReadRounds {
  /** Number of the newest round. */
  round = 0;
  underWay = false;
  /** When the newest round began. */
  startedAt = 0;
  private waiting: number[] = [];
  private asked: number[] = [];
  private index: LogIndex = 0;

  get pending(): number {
    return this.waiting.length + this.asked.length;
  }

  add(context: number): void {
    this.waiting.push(context);
  }

  /** Begins a round for the reads that wait, if none is under way; `now` is remembered. */
  begin(commit: LogIndex, now: number): boolean {
    if (this.underWay) return false;
    this.underWay = true;
    this.startedAt = now;
    this.round++;
    this.index = commit;
    this.asked = this.waiting;
    this.waiting = [];
    return true;
  }

  /** A quorum confirmed the round that is under way. */
  confirm(): ConfirmedRead[] {
    const confirmed = this.asked.map((context) => ({ context, index: this.index }));
    this.asked = [];
    this.underWay = false;
    return confirmed;
  }

  /** All reads that will not be confirmed any more. */
  drop(): number[] {
    const dropped = [...this.asked, ...this.waiting];
    this.asked = [];
    this.waiting = [];
    return dropped;
  }
}
