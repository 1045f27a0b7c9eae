import type { Key } from './key.ts';
import type { KeyLeases } from './key-leases.ts';
import type { MvccStore } from './mvcc-store.ts';
import type { LiveVersion } from './version.ts';

/** Writes the keys of one transaction, all of them with one revision, and keeps their leases informed. */
export class Writer {
  readonly store: MvccStore;
  readonly leases: KeyLeases;
  private readonly revision: number;

  /** `revision`: the one that the transaction makes if it changes anything. */
  constructor(store: MvccStore, leases: KeyLeases, revision: number) {
    this.store = store;
    this.leases = leases;
    this.revision = revision;
  }

  /** Gives what was there before. */
  put(key: Key, value: Uint8Array, lease: number): LiveVersion | undefined {
    const before = this.store.put(key, value, lease, this.revision);
    this.leases.move(key, before?.lease ?? 0, lease);
    return before;
  }

  /** Gives what was there before. */
  delete(key: Key): LiveVersion | undefined {
    const before = this.store.delete(key, this.revision);
    if (before !== undefined) this.leases.move(key, before.lease, 0);
    return before;
  }
}
