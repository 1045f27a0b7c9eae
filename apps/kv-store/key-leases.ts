import { VersionedMap } from 'varlog/smr';
import type { Key } from './key.ts';
import { Refused } from './refusal.ts';

/** In a piece of the state. */
const PIECE_LEASES = 500;

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

/** The leases that are held, under ids that their holders may choose, and the keys that end with them. Time is the log's. */
export class KeyLeases {
  private leases = new VersionedMap<number, StoredLease>();
  /** By lease and key. */
  private keys = new VersionedMap<string, Key>();

  get size(): number {
    return this.leases.size;
  }

  get(id: number): StoredLease | undefined {
    return this.leases.get(id);
  }

  /** Those that end with a lease, in their order. */
  *keysOf(id: number): Generator<Key> {
    for (const [, key] of this.keys.range(rangeOf(id))) yield key;
  }

  /** Throws `leaseExists`. */
  checkFree(id: number): void {
    if (this.leases.has(id)) throw new Refused('leaseExists');
  }

  /** In the place of one with its id, whose keys are now its own. */
  set(lease: StoredLease): void {
    this.leases.set(lease.id, lease);
  }

  /** It lasts as long again as it was granted. Throws `leaseNotFound`. */
  keepAlive(id: number, now: number): StoredLease {
    const lease = this.held(id);
    const longer = { ...lease, expiresAt: now + lease.ttl * 1_000 };
    this.set(longer);
    return longer;
  }

  /** Gives its keys, which are the caller's to delete. Throws `leaseNotFound`. */
  remove(id: number): Key[] {
    this.held(id);
    this.leases.delete(id);
    return [...this.keysOf(id)];
  }

  /** Throws `leaseNotFound`. */
  held(id: number): StoredLease {
    const lease = this.leases.get(id);
    if (lease === undefined) throw new Refused('leaseNotFound');
    return lease;
  }

  /** A key is no longer with lease `from`, and is with lease `to`; 0: none. */
  move(key: Key, from: number, to: number): void {
    if (from === to) return;
    if (from !== 0) this.keys.delete(nameOf(from) + key);
    if (to !== 0) this.keys.set(nameOf(to) + key, key);
  }

  /** Others with the same content, at no cost: from then on neither see what is done to the other. */
  fork(): KeyLeases {
    const fork = new KeyLeases();
    fork.leases = this.leases.fork();
    fork.keys = this.keys.fork();
    return fork;
  }

  /** In order. */
  ids(): number[] {
    return Array.from(this.leases, ([id]) => id);
  }

  /** All leases as they are now, by their ids, in pieces: they may change meanwhile. */
  pieces(): Generator<StoredLease[], undefined> {
    return inGroups(this.leases.snapshot());
  }
}

/** Of one length for all: no lease's keys are between those of another one. */
function nameOf(id: number): string {
  return String(id).padStart(16, '0');
}

function rangeOf(id: number): { from: string; to: string } {
  return { from: nameOf(id), to: nameOf(id + 1) };
}

function* inGroups(
  leases: Iterable<readonly [number, StoredLease]>,
): Generator<StoredLease[], undefined> {
  let some: StoredLease[] = [];
  for (const [, lease] of leases) {
    some.push(lease);
    if (some.length < PIECE_LEASES) continue;
    yield some;
    some = [];
  }
  if (some.length > 0) yield some;
}
