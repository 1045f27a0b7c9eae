/** A snapshot that is kept. */
export interface StoredSnapshot {
  readonly position: number;
  /** Its bytes, to be read once. Throws `CORRUPT` where the store finds that they are not those that it was given. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Where snapshots go when the log keeps none. The newest one is enough. */
export interface SnapshotStore {
  /**
   * Keeps a snapshot, of any size, as its chunks come: it takes the next one when it has room for it. Durably kept, all of
   * it, when this resolves: with the position of the newest one that is, which may be one of another replica where several
   * share the store. Where `chunks` throws, or the process dies, the snapshot before stays as it is; the error is passed
   * on.
   */
  save(position: number, chunks: AsyncIterable<Uint8Array>): Promise<number>;
  /**
   * The newest one; with `below`, the newest of a position below that: what is there is damaged. A store that keeps one
   * need not look at it.
   */
  load(below?: number): Promise<StoredSnapshot | undefined>;
  /**
   * Which store this is, for as long as it lasts: `fresh` if it was none yet. By it a log is kept from being trimmed
   * above the snapshot in it. Where absent, that is for its user to see to.
   */
  id?(fresh: string): Promise<string>;
  /**
   * For a store that others write into as well: `check` reads the begin of a snapshot, and rejects with `LOG_MISMATCH` where
   * it is one of another machine or log, and with `CORRUPT`. Where such a one lies in the store, `save` must reject with
   * that, and leave it as it is: it stands for nothing of this log, and its own replicas need it.
   */
  guard?(check: (chunks: StoredSnapshot['chunks']) => Promise<void>): void;
  /** Keeps all other replicas out until `release`: rejects with `DIRECTORY_IN_USE` where one is in already. */
  lock?(): Promise<SnapshotLock>;
}

export interface SnapshotLock {
  release(): Promise<void>;
}
