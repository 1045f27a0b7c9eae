/** Where snapshots go when the log keeps none. The newest one is enough. */
export interface SnapshotStore {
  /** Durably kept when this resolves. */
  save(position: number, state: Uint8Array): Promise<void>;
  load(): Promise<{ readonly position: number; readonly state: Uint8Array } | undefined>;
  /** Keeps all other replicas out until `release`: rejects with `DIRECTORY_IN_USE` where one is in already. */
  lock?(): Promise<SnapshotLock>;
}

export interface SnapshotLock {
  release(): Promise<void>;
}
