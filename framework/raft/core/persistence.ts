import type { LogIndex, Term } from '../../base/index.ts';
import { type EntryBatch, endOf } from './entry-batch.ts';
import type { Message } from './message.ts';

export interface HardState {
  readonly term: Term;
  /** Whom this member voted for in `term`, 0 for nobody. */
  readonly vote: number;
}

/** What goes to disk together, in this order: hard state, snapshot, truncation, batches. */
export interface Write {
  /** Counts up by one; pass it to `Raft.persisted` once all of it is durable. */
  readonly sequence: number;
  readonly hardState: HardState | undefined;
  /** The log is replaced by the snapshot that was received for this index. */
  readonly snapshot: { readonly index: LogIndex; readonly term: Term } | undefined;
  /** Entries behind this index are dropped. */
  readonly truncateTo: LogIndex | undefined;
  readonly batches: readonly EntryBatch[];
}

/** What was promised in one write. */
export interface Persisted {
  readonly term: Term;
  readonly last: LogIndex;
  readonly messages: readonly Message[];
}

interface Draft {
  sequence: number;
  term: Term;
  last: LogIndex;
  hardState: HardState | undefined;
  snapshot: { index: LogIndex; term: Term } | undefined;
  truncateTo: LogIndex | undefined;
  batches: EntryBatch[];
  messages: Message[];
}

/**
 * What must be durable before which message may leave. Everything that changed since the last
 * {@link take} forms the next write; a message that promises any of it waits for the newest one.
 */
export class Persistence {
  private draft: Draft | undefined;
  private readonly inFlight: Draft[] = [];
  private sequence = 0;

  hardState(hardState: HardState): void {
    this.current().hardState = hardState;
  }

  append(batch: EntryBatch, term: Term): void {
    const draft = this.current();
    draft.batches.push(batch);
    draft.term = term;
    draft.last = endOf(batch);
  }

  truncate(to: LogIndex): void {
    const draft = this.current();
    const first = draft.batches[0];
    if (first !== undefined && first.index <= to + 1) {
      while (draft.batches.length > 0 && draft.batches.at(-1)!.index > to) draft.batches.pop();
      return;
    }
    draft.batches = [];
    draft.truncateTo = Math.min(to, draft.truncateTo ?? to);
  }

  snapshot(index: LogIndex, term: Term): void {
    const draft = this.current();
    draft.snapshot = { index, term };
    draft.truncateTo = undefined;
    draft.batches = [];
  }

  /** Keeps `message` until all that changed so far is durable. False: it already is. */
  deferUntilDurable(message: Message): boolean {
    const draft = this.draft ?? this.inFlight.at(-1);
    if (draft === undefined) return false;
    const before = draft.messages.at(-1);
    const supersedes =
      before?.type === 'appendResponse' &&
      message.type === 'appendResponse' &&
      !before.rejected &&
      !message.rejected &&
      before.to === message.to &&
      before.term === message.term &&
      before.index <= message.index;
    if (supersedes) draft.messages.pop();
    draft.messages.push(message);
    return true;
  }

  /** The next write, if anything changed. */
  take(): Write | undefined {
    const draft = this.draft;
    if (draft === undefined) return undefined;
    this.draft = undefined;
    this.inFlight.push(draft);
    return draft;
  }

  /** What waited for the writes up to `sequence`, oldest first. */
  done(sequence: number): Persisted[] {
    const finished: Persisted[] = [];
    while (this.inFlight.length > 0 && this.inFlight[0]!.sequence <= sequence) {
      finished.push(this.inFlight.shift()!);
    }
    return finished;
  }

  private current(): Draft {
    this.draft ??= {
      sequence: ++this.sequence,
      term: 0,
      last: 0,
      hardState: undefined,
      snapshot: undefined,
      truncateTo: undefined,
      batches: [],
      messages: [],
    };
    return this.draft;
  }
}
