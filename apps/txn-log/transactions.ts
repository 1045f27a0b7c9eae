import type { ApplyContext, StateMachine } from 'varlog/smr';
import { RecentResults, type RecentResultsSnapshot } from '../recent-results.ts';

/**
 * A transaction as it lies in the log: what it has read, with versions, and what it wants to write.
 * Versions are the positions of the transactions that wrote; 0 stands for a key that is not there.
 */
export interface TransactionCommand {
  /** Unique: one that was decided before only gets the same outcome again. */
  id: string;
  reads: [key: string, version: number][];
  /** `null` removes the key. */
  writes: [key: string, value: string | null][];
}

/** Decided by every replica alike, when the command is applied. */
export type Outcome =
  | { committed: true; version: number }
  /** `conflict` was written by another after it had been read. */
  | { committed: false; conflict: string };

/** A value and the position of the transaction that wrote it. */
export interface Versioned {
  value: string;
  version: number;
}

export interface TransactionSnapshot {
  items: [string, Versioned][];
  outcomes: RecentResultsSnapshot<Outcome>;
}

/** So many outcomes at least are remembered. */
const OUTCOMES_KEPT = 100_000;

/**
 * Multi-key transactions on a totally ordered log, the optimistic way of Tango (SOSP 2013, section 4):
 * nothing is locked. A transaction commits if all that it has read is still of the same version at its
 * place in the log, so the transactions that commit are as if run one after the other in that order.
 */
export class TransactionMachine
  implements StateMachine<TransactionCommand, Outcome, TransactionSnapshot>
{
  private items = new Map<string, Versioned>();
  private readonly outcomes = new RecentResults<Outcome>(OUTCOMES_KEPT);

  apply({ id, reads, writes }: TransactionCommand, { position }: ApplyContext): Outcome {
    const before = this.outcomes.get(id);
    if (before !== undefined) return before;
    const outcome = this.decide(reads, position);
    if (outcome.committed) {
      for (const [key, value] of writes) {
        if (value === null) this.items.delete(key);
        else this.items.set(key, { value, version: position });
      }
    }
    this.outcomes.add(id, outcome);
    return outcome;
  }

  snapshot(): TransactionSnapshot {
    return { items: [...this.items], outcomes: this.outcomes.snapshot() };
  }

  restore({ items, outcomes }: TransactionSnapshot): void {
    this.items = new Map(items);
    this.outcomes.restore(outcomes);
  }

  get(key: string): Versioned | undefined {
    return this.items.get(key);
  }

  /** What became of a transaction; `undefined` when it has not been decided, or long ago. */
  outcome(id: string): Outcome | undefined {
    return this.outcomes.get(id);
  }

  /** The first of the reads that is not up to date any more. */
  conflict(reads: Iterable<readonly [key: string, version: number]>): string | undefined {
    for (const [key, version] of reads) {
      if ((this.items.get(key)?.version ?? 0) !== version) return key;
    }
    return undefined;
  }

  private decide(reads: [string, number][], position: number): Outcome {
    const conflict = this.conflict(reads);
    return conflict === undefined
      ? { committed: true, version: position }
      : { committed: false, conflict };
  }
}
