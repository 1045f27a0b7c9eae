import type { ApplyContext, StateMachine } from 'varlog/smr';
import { Committed, type CommittedSnapshot, type Retention } from './committed.ts';

/**
 * A transaction as it lies in the log: what it has read, with versions, and what it wants to write.
 * Versions are the positions of the transactions that wrote; 0 stands for a key that is not there.
 */
export interface TransactionCommand {
  /**
   * The transaction that this is an attempt of, where it has a name. Once an attempt was committed, every other gets its
   * outcome and changes nothing.
   */
  id?: string;
  /** What the body returned, in JSON, for those who repeat the transaction. Absent for `undefined`. */
  result?: string;
  reads: [key: string, version: number][];
  /** `null` removes the key. */
  writes: [key: string, value: string | null][];
}

/** Decided by every replica alike, when the command is applied. */
export type Outcome =
  | CommittedOutcome
  /** `conflict` was written by another after it had been read. */
  | { committed: false; conflict: string };

/** What the attempt was told that took effect. */
export interface CommittedOutcome {
  committed: true;
  version: number;
  result?: string;
}

/** A value and the position of the transaction that wrote it. */
export interface Versioned {
  value: string;
  version: number;
}

export interface TransactionSnapshot {
  items: [string, Versioned][];
  committed: CommittedSnapshot<CommittedOutcome>;
}

/** The default: a day, for up to a million transactions with names. */
const RETENTION: Retention = { keptMs: 24 * 3_600_000, countMax: 500_000 };

/**
 * Multi-key transactions on a totally ordered log, the optimistic way of Tango (SOSP 2013, section 4):
 * nothing is locked. A transaction commits if all that it has read is still of the same version at its
 * place in the log, so the transactions that commit are as if run one after the other in that order.
 */
export class TransactionMachine
  implements StateMachine<TransactionCommand, Outcome, TransactionSnapshot>
{
  private items = new Map<string, Versioned>();
  private readonly committed: Committed<CommittedOutcome>;

  /** `retention` decides what commands do: it must be equal on all replicas. */
  constructor(retention: Retention = RETENTION) {
    this.committed = new Committed(retention);
  }

  apply(
    command: TransactionCommand,
    { position, time }: Pick<ApplyContext, 'position' | 'time'>,
  ): Outcome {
    const { id, result, reads, writes } = command;
    const before = id === undefined ? undefined : this.committed.get(id);
    if (before !== undefined) return before;
    const conflict = this.conflict(reads);
    if (conflict !== undefined) return { committed: false, conflict };
    for (const [key, value] of writes) {
      if (value === null) this.items.delete(key);
      else this.items.set(key, { value, version: position });
    }
    const outcome: CommittedOutcome = { committed: true, version: position };
    if (result !== undefined) outcome.result = result;
    if (id !== undefined) this.committed.add(id, outcome, time);
    return outcome;
  }

  snapshot(): TransactionSnapshot {
    return { items: [...this.items], committed: this.committed.snapshot() };
  }

  restore({ items, committed }: TransactionSnapshot): void {
    this.items = new Map(items);
    this.committed.restore(committed);
  }

  get(key: string): Versioned | undefined {
    return this.items.get(key);
  }

  /** How a transaction was committed; `undefined` when it was not, or long ago. */
  outcome(id: string): CommittedOutcome | undefined {
    const found = this.committed.get(id);
    return found && { ...found };
  }

  /** The first of the reads that is not up to date any more. */
  conflict(reads: Iterable<readonly [key: string, version: number]>): string | undefined {
    for (const [key, version] of reads) {
      if ((this.items.get(key)?.version ?? 0) !== version) return key;
    }
    return undefined;
  }
}
