import type { ApplyContext, StateMachine } from 'varlog/smr';
import { ChangeHistory, type HistoryLimits } from './change-history.ts';
import { type Condition, holds } from './condition.ts';

export type KvCommand = (
  | { op: 'put'; key: string; value: Uint8Array }
  | { op: 'delete'; key: string }
) & {
  /** Without it the write takes place whatever is there. */
  condition?: Condition;
};

/**
 * `revision` is the key's: as written when done, as found otherwise (0: no such key). `existed` tells whether the key was
 * there before.
 */
export interface KvResult {
  done: boolean;
  revision: number;
  existed: boolean;
}

/** A value and the position of the command that wrote it. */
export interface Versioned {
  value: Uint8Array;
  revision: number;
}

export interface KvSnapshot {
  items: (Versioned & { key: string })[];
  /** Revision of the last change. */
  newest: number;
}

/** The replicated map. Every replica applies the same commands and so has the same content. */
export class KvMachine implements StateMachine<KvCommand, KvResult, KvSnapshot> {
  private readonly items = new Map<string, Versioned>();
  private readonly limits: Partial<HistoryLimits>;
  private changes: ChangeHistory;

  constructor(limits: Partial<HistoryLimits> = {}) {
    this.limits = limits;
    this.changes = new ChangeHistory(limits);
  }

  apply(command: KvCommand, { position }: Pick<ApplyContext, 'position'>): KvResult {
    const { key, condition } = command;
    const revision = this.items.get(key)?.revision ?? 0;
    const existed = revision > 0;
    const refused = condition !== undefined && !holds(condition, revision);
    if (refused || (command.op === 'delete' && !existed)) return { done: false, revision, existed };
    if (command.op === 'delete') {
      this.items.delete(key);
      this.changes.add({ key, revision: position });
    } else {
      this.items.set(key, { value: command.value, revision: position });
      this.changes.add({ key, value: command.value, revision: position });
    }
    return { done: true, revision: position, existed };
  }

  snapshot(): KvSnapshot {
    return {
      items: [...this.items].map(([key, item]) => ({ key, ...item })),
      newest: this.changes.newest,
    };
  }

  restore({ items, newest }: KvSnapshot): void {
    this.items.clear();
    for (const { key, value, revision } of items) this.items.set(key, { value, revision });
    this.changes = new ChangeHistory(this.limits, newest);
  }

  get size(): number {
    return this.items.size;
  }

  /** The newest changes. */
  get history(): Pick<ChangeHistory, 'from' | 'forgotten' | 'bytes' | 'length'> {
    return this.changes;
  }

  get(key: string): Versioned | undefined {
    return this.items.get(key);
  }

  /** Keys that begin with `prefix`, sorted. */
  list(prefix: string): (Versioned & { key: string })[] {
    return [...this.items]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, item]) => ({ key, ...item }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}
