import type { LogIndex } from '../../base/index.ts';
import type { Message } from './message.ts';
import type { Write } from './persistence.ts';
import type { ConfirmedRead } from './read-rounds.ts';

/** Asks for entries that are on disk only; answer with `Raft.provide`. */
export interface Fetch {
  readonly to: number;
  readonly from: LogIndex;
  readonly bytesMax: number;
}

/** All that the core wants done. Messages leave in this order; the write may go on beside them. */
export interface Effects {
  readonly messages: readonly Message[];
  readonly write: Write | undefined;
  readonly reads: readonly ConfirmedRead[];
  /** Reads that this member cannot confirm any more, because it does not lead. */
  readonly droppedReads: readonly number[];
  readonly fetches: readonly Fetch[];
  /** A member was not told of a commit, because it was not urgent. */
  readonly commitUntold: boolean;
}

/** Gathers what the core wants done, until it is taken. */
export class PendingEffects {
  private messages: Message[] = [];
  private reads: ConfirmedRead[] = [];
  private droppedReads: number[] = [];
  private fetches: Fetch[] = [];

  send(message: Message): void {
    this.messages.push(message);
  }

  fetch(request: Fetch): void {
    this.fetches.push(request);
  }

  confirmReads(reads: readonly ConfirmedRead[]): void {
    for (const read of reads) this.reads.push(read);
  }

  dropReads(contexts: readonly number[]): void {
    for (const context of contexts) this.droppedReads.push(context);
  }

  /** All of it, with the write that goes along. */
  take(write: Write | undefined, commitUntold: boolean): Effects {
    const { messages, reads, droppedReads, fetches } = this;
    this.messages = [];
    this.reads = [];
    this.droppedReads = [];
    this.fetches = [];
    return { messages, write, reads, droppedReads, fetches, commitUntold };
  }
}
