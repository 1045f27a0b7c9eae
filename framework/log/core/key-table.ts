/** What a table holds, as it lies on disk and goes to another replica. */
export interface KeySnapshot {
  /** It follows from the records up to here. */
  readonly llsn: number;
  readonly floor: number;
  /** In the order of their last records. */
  readonly keys: readonly { readonly hash: number; readonly version: number }[];
}

interface Waiting {
  readonly hash: number;
  readonly llsn: number;
}

/**
 * The version of each key in a log stream: the LLSN of its last record, 0 while it has none. It follows from the records
 * alone, as a `ProducerTable` does: from those that are ordered and beside them from those that are not yet, and goes back with what is
 * cut off.
 *
 * It is bounded, and still says of no key that nothing came after a place where something did: a key that is not known has
 * its last record at or before the {@link floor}, the highest version that was ever forgotten. Whoever has read
 * that far can go on.
 */
export class KeyTable {
  private readonly limit: number;
  /** Of ordered records, by the hashes of their keys; in the order of the versions. */
  private readonly known = new Map<number, number>();
  /** Records with a key that are not ordered, in the order of their LLSNs. */
  private waiting: Waiting[] = [];
  /** The last ones of these, by their hashes. */
  private readonly newest = new Map<number, number>();
  private covered = 0;
  private forgotten = 0;
  private changes = 0;

  /** `limit`: so many keys are known, those of the last records. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Grows when there is more to keep than the place up to which it goes. */
  get revision(): number {
    return this.changes;
  }

  /** No key that is not known has a record after this LLSN. */
  get floor(): number {
    return this.forgotten;
  }

  /** The version of a key: exactly, or `atMost`, where it may have been forgotten. */
  versionOf(hash: number): { readonly version: number; readonly atMost: boolean } {
    const version = this.newest.get(hash) ?? this.known.get(hash);
    if (version !== undefined) return { version, atMost: false };
    return { version: this.forgotten, atMost: this.forgotten > 0 };
  }

  /** A record with a key was stored, in the order of LLSNs. */
  note(hash: number, llsn: number): void {
    // What this follows from may be ahead of the records that are here.
    if (llsn <= this.covered) return;
    this.waiting.push({ hash, llsn });
    this.newest.set(hash, llsn);
  }

  /** The records up to LLSN `end` are ordered. */
  ordered(end: number): void {
    if (this.waiting.length > 0) {
      const kept = this.waiting.findIndex((it) => it.llsn > end);
      const done = this.waiting.splice(0, kept === -1 ? this.waiting.length : kept);
      for (const it of done) this.take(it);
    }
    this.covered = Math.max(this.covered, end);
  }

  /** The records after LLSN `end` were cut off. */
  cut(end: number): void {
    const { waiting } = this;
    this.waiting = [];
    this.newest.clear();
    for (const { hash, llsn } of waiting) if (llsn <= end) this.note(hash, llsn);
  }

  snapshot(): KeySnapshot {
    const keys = [...this.known].map(([hash, version]) => ({ hash, version }));
    return { llsn: this.covered, floor: this.forgotten, keys };
  }

  /** Takes over what follows from more records than are in it; anything else leaves it as it is. */
  adopt({ llsn, floor, keys }: KeySnapshot): void {
    if (llsn <= this.covered) return;
    const { waiting } = this;
    this.cut(0);
    this.known.clear();
    this.forgotten = Math.max(this.forgotten, floor);
    this.covered = llsn;
    this.changes++;
    for (const { hash, version } of keys) this.remember(hash, version);
    for (const { hash, llsn: at } of waiting) this.note(hash, at);
  }

  private take({ hash, llsn }: Waiting): void {
    if (this.newest.get(hash) === llsn) this.newest.delete(hash);
    this.changes++;
    this.remember(hash, llsn);
  }

  private remember(hash: number, version: number): void {
    // Again at the end: what has the oldest record is the first.
    this.known.delete(hash);
    this.known.set(hash, version);
    if (this.known.size <= this.limit) return;
    const [oldest] = this.known;
    this.known.delete(oldest![0]);
    this.forgotten = Math.max(this.forgotten, oldest![1]);
  }
}

/** Nothing is known of the keys of the records up to `llsn`. */
export function keysUnknownUpTo(llsn: number): KeySnapshot {
  return { llsn, floor: llsn, keys: [] };
}
