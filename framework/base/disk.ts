/**
 * A file system, as small as a log needs it. Paths are relative to the disk's root and use `/`.
 *
 * What survives a power loss:
 * - the bytes and the size of a file as of its last `sync` that succeeded;
 * - a name (created, renamed or removed) only after `syncDirectory` of the folder that holds it.
 * Everything else may be kept, lost, or kept in part. A killed process loses nothing that was written.
 *
 * Errors are `VarlogError`s: `NOT_FOUND`, `ALREADY_EXISTS`, `DISK_FULL`, `DIRECTORY_UNWRITABLE`,
 * `DIRECTORY_IN_USE`, otherwise `DISK_FAILED`.
 */
export interface Disk {
  /** The path as other programs of the machine name it: for errors, which people read. Asks nothing of the file system. */
  pathOf(path: string): string;
  /** Opens a file to read and write, with `read` only to read; `create` makes an empty one where there is none. */
  open(path: string, mode: 'existing' | 'create' | 'read'): Promise<DiskFile>;
  /** Replaces `to` if it exists, atomically. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, or a folder with all that is in it. Succeeds where there is none. */
  remove(path: string): Promise<void>;
  /** Names in a folder, sorted; empty where there is no such folder. */
  list(directory: string): Promise<string[]>;
  /** Makes a folder and its parents, and syncs their names. */
  makeDirectory(directory: string): Promise<void>;
  syncDirectory(directory: string): Promise<void>;
  /** What there is to tell of a folder, for people. It MAY be slow, and MAY never settle where the disk hangs. */
  inspect(directory: string): Promise<FolderFacts>;
  /** Takes the folder for this process until `release`; `DIRECTORY_IN_USE` if another process has it. */
  lock(directory: string): Promise<DirectoryLock>;
  /** Whether a process has taken the folder. Changes nothing, not even the lock's own files. */
  isLocked(directory: string): Promise<boolean>;
}

/** A folder and the file system that it is in. */
export interface FolderFacts {
  /** As other programs of the machine name it. */
  readonly path: string;
  /** When it was made, in milliseconds since 1970; 0 where that is not known. */
  readonly madeAt: number;
  /** Bytes of all files in it, at every depth. */
  readonly bytes: number;
  /** Bytes of the file system that are in use, and that there are; 0 where that is not known. */
  readonly usedBytes: number;
  readonly totalBytes: number;
}

export interface DirectoryLock {
  release(): Promise<void>;
}

export interface DiskFile {
  /** Bytes from `offset`; fewer than `length` only at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Writes the chunks one after the other from `offset`, extending the file where needed. */
  write(offset: number, chunks: readonly Uint8Array[]): Promise<void>;
  /**
   * Writes like {@link write}, durably: cheaper than a {@link sync} after it. What was written before and not
   * synced need not be durable. After a failure the file must not be trusted any more.
   */
  writeDurably(offset: number, chunks: readonly Uint8Array[]): Promise<void>;
  /** Sets the size; new bytes are zero. */
  truncate(size: number): Promise<void>;
  /** Makes the file's bytes and size durable. After a failure the file must not be trusted any more. */
  sync(): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}
