import type { ApplyContext, StateMachine } from 'varlog/smr';
import { RecentResults, type RecentResultsSnapshot } from '../recent-results.ts';

export type KvCommand = (
  | { op: 'put'; key: string; value: string }
  | { op: 'delete'; key: string }
  /** Writes only if the key's revision is `expected`; 0: only if there is no such key. */
  | { op: 'compareAndSet'; key: string; expected: number; value: string }
) & {
  /** Unique: a command whose id was seen before only gets the first one's result again. */
  requestId?: string;
};

/** `revision` is the key's: as written when done, as found otherwise (0: no such key). */
export interface KvResult {
  done: boolean;
  revision: number;
}

/** A value and the position of the command that wrote it. */
export interface Versioned {
  value: string;
  revision: number;
}

/** One change of one key. `value` is absent when the key was deleted. */
export interface Change {
  key: string;
  value?: string;
  revision: number;
}

export interface KvSnapshot {
  items: [string, Versioned][];
  requests: RecentResultsSnapshot<KvResult>;
  forgotten: number;
}

/** So many changes are kept for watchers that come back. */
const HISTORY_LENGTH_MAX = 100_000;
/** So many request ids at least are remembered, with their results. */
const REQUESTS_KEPT = 10_000;

/** The replicated map. Every replica applies the same commands and so has the same content. */
export class KvMachine implements StateMachine<KvCommand, KvResult, KvSnapshot> {
  private items = new Map<string, Versioned>();
  private readonly requests = new RecentResults<KvResult>(REQUESTS_KEPT);
  private history: Change[] = [];
  private forgotten = 0;

  apply(command: KvCommand, { position }: ApplyContext): KvResult {
    const { requestId } = command;
    if (requestId === undefined) return this.change(command, position);
    const before = this.requests.get(requestId);
    if (before !== undefined) return before;
    const result = this.change(command, position);
    this.requests.add(requestId, result);
    return result;
  }

  snapshot(): KvSnapshot {
    return {
      items: [...this.items],
      requests: this.requests.snapshot(),
      forgotten: this.history.at(-1)?.revision ?? this.forgotten,
    };
  }

  restore({ items, requests, forgotten }: KvSnapshot): void {
    this.items = new Map(items);
    this.requests.restore(requests);
    this.history = [];
    this.forgotten = forgotten;
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

  /** Changes from revision `from` on, or `undefined` when some of them are no longer known. */
  changesFrom(from: number): readonly Change[] | undefined {
    if (from <= this.forgotten) return undefined;
    return this.history.slice(firstAtLeast(this.history, from));
  }

  private change(command: KvCommand, position: number): KvResult {
    const revision = this.items.get(command.key)?.revision ?? 0;
    switch (command.op) {
      case 'put':
        return this.write(command.key, command.value, position);
      case 'compareAndSet':
        if (revision !== command.expected) return { done: false, revision };
        return this.write(command.key, command.value, position);
      case 'delete':
        if (!this.items.delete(command.key)) return { done: false, revision: 0 };
        this.remember({ key: command.key, revision: position });
        return { done: true, revision: position };
    }
  }

  private write(key: string, value: string, revision: number): KvResult {
    this.items.set(key, { value, revision });
    this.remember({ key, value, revision });
    return { done: true, revision };
  }

  private remember(change: Change): void {
    this.history.push(change);
    if (this.history.length < 2 * HISTORY_LENGTH_MAX) return;
    this.forgotten = this.history[HISTORY_LENGTH_MAX - 1]!.revision;
    this.history = this.history.slice(HISTORY_LENGTH_MAX);
  }
}

function firstAtLeast(history: readonly Change[], revision: number): number {
  let low = 0;
  let high = history.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (history[middle]!.revision < revision) low = middle + 1;
    else high = middle;
  }
  return low;
}
