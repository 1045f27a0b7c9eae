import type { Key } from './key.ts';
import { Refused } from './refusal.ts';

/** A lease as it is stored. */
export interface StoredLease {
  readonly id: number;
  /** What it was granted, in seconds. */
  readonly ttl: number;
  /** In the log's time: milliseconds since 1970. */
  readonly expiresAt: number;
  /** The timer that looks whether it is over; never after that time. */
  readonly timer: number;
}

export interface Lease extends StoredLease {
  expiresAt: number;
  timer: number;
  /** Those that end with it. */
  readonly keys: Set<Key>;
}

/** The leases that are held, under ids that their holders may choose, and the keys that end with them. Time is the log's. */
export class KeyLeases {
  private readonly leases = new Map<number, Lease>();

  get size(): number {
    return this.leases.size;
  }

  get(id: number): Lease | undefined {
    return this.leases.get(id);
  }

  /** Throws `leaseExists`. */
  checkFree(id: number): void {
    if (this.leases.has(id)) throw new Refused('leaseExists');
  }

  /** The id must be free. */
  add(stored: StoredLease): Lease {
    const lease = { ...stored, keys: new Set<Key>() };
    this.leases.set(stored.id, lease);
    return lease;
  }

  /** It lasts as long again as it was granted. Throws `leaseNotFound`. */
  keepAlive(id: number, now: number): Lease {
    const lease = this.held(id);
    lease.expiresAt = now + lease.ttl * 1_000;
    return lease;
  }

  /** Its keys are the caller's to delete. Throws `leaseNotFound`. */
  remove(id: number): Lease {
    const lease = this.held(id);
    this.leases.delete(id);
    return lease;
  }

  /** Throws `leaseNotFound`. */
  held(id: number): Lease {
    const lease = this.leases.get(id);
    if (lease === undefined) throw new Refused('leaseNotFound');
    return lease;
  }

  /** A key is no longer with lease `from`, and is with lease `to`; 0: none. */
  move(key: Key, from: number, to: number): void {
    if (from === to) return;
    this.leases.get(from)?.keys.delete(key);
    this.leases.get(to)?.keys.add(key);
  }

  /** By their ids. */
  encode(): StoredLease[] {
    return [...this.leases.values()]
      .map(({ keys: _, ...lease }) => lease)
      .sort((a, b) => a.id - b.id);
  }

  /** {@link move} must tell of the keys then. */
  restore(leases: readonly StoredLease[]): void {
    this.leases.clear();
    for (const lease of leases) this.add(lease);
  }
}
