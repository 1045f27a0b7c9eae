import type { LogIndex } from '../../base/index.ts';
import type { Inflights } from './inflights.ts';

/**
 * What a leader knows of one member. It belongs to one leadership, whose code alone writes it; `mode`, `match`, `next` and
 * `inflights` change only by the methods, which keep them consistent: match < next, always.
 */
export class Progress {
  /** The logs agree up to here, durably. Never decreases while the leader leads. */
  match: LogIndex = 0;
  /** The next entry to send. `replicate`: after all that is in `inflights`, so that it falls only by {@link becomeProbe}. */
  next: LogIndex;
  /**
   * `probe`: looks for the place where the logs agree, one message at a time. `replicate`: the logs agree up to `match`;
   * sends ahead of acknowledgements. `snapshot`: waits until the member has installed one; nothing else is sent.
   */
  mode: 'probe' | 'replicate' | 'snapshot' = 'probe';
  /** The answer to a message is awaited, which is why no other one is sent. Means nothing unless `mode` is `probe`. */
  probing = false;
  /** Entries are being fetched from the disk for this member: nothing is sent until they are provided. */
  fetching = false;
  /** Heard from since the last check of the quorum, which sets it to false. */
  active = false;
  /** The newest commit index that was sent. Never decreases, and never above the commit index of the leader. */
  commitSent: LogIndex = 0;
  /** An append is due even if it carries no entries. */
  due = true;
  /** The newest read round that the member confirmed. Never decreases, and never above the newest round. */
  round = 0;
  /** The newest round of which the answer promised to wait before another leader is helped. At most `round`. */
  promised = 0;
  /** The snapshot that was offered last. Means nothing unless `mode` is `snapshot`. */
  snapshotIndex: LogIndex = 0;
  /** Left the group: it is told so for this many more ticks; undefined for a member. */
  departing: number | undefined;
  /** Appends that are on their way. Empty unless `mode` is `replicate`. */
  readonly inflights: Inflights;

  constructor(next: LogIndex, inflights: Inflights) {
    this.next = next;
    this.inflights = inflights;
  }

  get paused(): boolean {
    if (this.fetching || this.mode === 'snapshot') return true;
    return this.mode === 'probe' ? this.probing : this.inflights.full;
  }

  becomeProbe(): void {
    this.next =
      this.mode === 'snapshot' ? Math.max(this.match, this.snapshotIndex) + 1 : this.match + 1;
    this.mode = 'probe';
    this.probing = false;
    this.inflights.clear();
  }

  becomeReplicate(): void {
    this.mode = 'replicate';
    this.probing = false;
    this.next = this.match + 1;
    this.inflights.clear();
  }

  becomeSnapshot(index: LogIndex): void {
    this.mode = 'snapshot';
    this.snapshotIndex = index;
    this.inflights.clear();
  }

  /** A message with entries up to `end` (none: `end` is `next - 1`) was sent. */
  sent(end: LogIndex, bytes: number): void {
    this.due = false;
    if (this.mode === 'probe') this.probing = true;
    else if (end >= this.next) {
      this.next = end + 1;
      this.inflights.add(end, bytes);
    }
  }

  /** The member has everything up to `index`. False: that is old news. */
  acknowledged(index: LogIndex): boolean {
    const news = index > this.match;
    if (news) this.match = index;
    this.next = Math.max(this.next, index + 1);
    return news;
  }

  /**
   * The member refused an append after `prevIndex`; `candidate` may be where the logs agree. False:
   * the refusal is of a message from before.
   */
  refused(prevIndex: LogIndex, candidate: LogIndex): boolean {
    if (this.mode === 'replicate') {
      if (prevIndex <= this.match) return false;
      this.becomeProbe();
      return true;
    }
    if (this.next - 1 !== prevIndex) return false;
    this.next = Math.max(Math.min(prevIndex, candidate + 1), this.match + 1);
    this.probing = false;
    return true;
  }
}
