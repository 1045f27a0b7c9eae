/** Where snapshots go when the log keeps none. The newest one is enough. */
export interface SnapshotStore {
  /** Durably kept when this resolves. */
  save(position: number, state: Uint8Array): Promise<void>;
  load(): Promise<{ readonly position: number; readonly state: Uint8Array } | undefined>;
  /**
   * Which store this is, for as long as it lasts: `fresh` if it was none yet. By it a log is kept from being trimmed
   * above the snapshot in it. Where absent, that is for its user to see to.
   */
  id?(fresh: string): Promise<string>;
  /** Keeps all other replicas out until `release`: rejects with `DIRECTORY_IN_USE` where one is in already. */
  lock?(): Promise<SnapshotLock>;
}

export interface SnapshotLock {
  release(): Promise<void>;
}
