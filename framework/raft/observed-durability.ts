import type { Message } from './core/index.ts';

interface Promised {
  readonly term: number;
  /** In that term its log reached to here; it may be cut only in a later one. */
  readonly index: number;
}

/**
 * What other members have promised: a member that sent a vote or an acknowledgement had its term on disk, and the
 * entries. Whoever comes back with less has the disk of an earlier day, and may have forgotten a vote.
 */
export class ObservedDurability {
  private readonly made = new Map<number, Promised>();

  /** Remembers what a message says of its sender's disk. */
  observe(message: Message): void {
    const { from, term } = message;
    const acknowledged = message.type === 'appendResponse' && !message.rejected;
    const voted =
      (message.type === 'vote' || (message.type === 'voteResponse' && message.granted)) &&
      !message.pre;
    if (!acknowledged && !voted) return;
    const before = this.made.get(from);
    const index = acknowledged ? message.index : 0;
    if (before !== undefined && before.term > term) return;
    if (before?.term === term && before.index >= index) return;
    this.made.set(from, { term, index });
  }

  /** Whether a member at this term, with a log that ends here, is one that kept them. */
  isConsistentWith(member: number, term: number, lastIndex: number): boolean {
    const made = this.made.get(member);
    if (made === undefined || term > made.term) return true;
    return term === made.term && lastIndex >= made.index;
  }
}
