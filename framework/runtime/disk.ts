import {
  constants,
  type FileHandle,
  open,
  readdir,
  rename,
  rm,
  stat,
  statfs,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { DirectoryLock, Disk, DiskFile, FolderFacts } from '../base/index.ts';
import { isDirectoryLocked, lockDirectory } from './directory-lock.ts';
import { diskError } from './disk-error.ts';
import { makePath } from './make-path.ts';

/** Of a file that may go meanwhile. */
const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

/** Keeps what is there, unlike 'w+', and writes anywhere, unlike 'a+'. */
const CREATE = constants.O_RDWR | constants.O_CREAT;

/** One system call instead of two, on a thread of the pool each. Not every system has it. */
const DURABLE_WRITES =
  (constants.O_DSYNC as number | undefined) === undefined
    ? undefined
    : constants.O_RDWR | constants.O_DSYNC;

/** What settles with the sync of a folder that is under way, never with an error, and the one that comes after it. */
interface DirectorySync {
  readonly last: Promise<void>;
  readonly next?: Promise<void>;
}

/** The folder `root` of the machine's file system. */
export class RealDisk implements Disk {
  private readonly root: string;
  private readonly syncs = new Map<string, DirectorySync>();

  constructor(root: string) {
    this.root = root;
  }

  pathOf(path: string): string {
    return resolve(this.at(path));
  }

  async open(path: string, mode: Parameters<Disk['open']>[1]): Promise<DiskFile> {
    const full = this.at(path);
    const file = await attempt(full, async () => {
      if (mode === 'existing') return open(full, 'r+');
      if (mode === 'read') return open(full, 'r');
      try {
        return await open(full, CREATE);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        await makePath(dirname(full));
        return open(full, CREATE);
      }
    });
    return new RealFile(full, file);
  }

  rename(from: string, to: string): Promise<void> {
    return attempt(this.at(from), () => rename(this.at(from), this.at(to)));
  }

  remove(path: string): Promise<void> {
    return attempt(this.at(path), () => rm(this.at(path), { recursive: true, force: true }));
  }

  list(directory: string): Promise<string[]> {
    return attempt(this.at(directory), async () => {
      try {
        return (await readdir(this.at(directory))).sort();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    });
  }

  async makeDirectory(directory: string): Promise<void> {
    const full = this.at(directory);
    const made = await attempt(full, () => makePath(full));
    // Also where it exists already: whoever made it may have been killed before it was synced. A new one has no names.
    const first = made === undefined ? full : dirname(full);
    for (let at = first; at.length >= dirname(made ?? full).length; at = dirname(at)) {
      await this.syncAt(at);
      if (dirname(at) === at) return;
    }
  }

  syncDirectory(directory: string): Promise<void> {
    return this.syncAt(this.at(directory));
  }

  inspect(directory: string): Promise<FolderFacts> {
    const full = this.at(directory);
    return attempt(full, async () => {
      const [{ birthtimeMs }, { bsize, blocks, bfree }, entries] = await Promise.all([
        stat(full),
        statfs(full),
        readdir(full, { recursive: true, withFileTypes: true }),
      ]);
      const files = entries.filter((it) => it.isFile());
      const sizes = files.map(({ parentPath, name }) => sizeOf(join(parentPath, name)));
      const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
      return {
        path: resolve(full),
        madeAt: birthtimeMs,
        bytes,
        usedBytes: (blocks - bfree) * bsize,
        totalBytes: blocks * bsize,
      };
    });
  }

  lock(directory: string): Promise<DirectoryLock> {
    return attempt(this.at(directory), () => lockDirectory(this.at(directory)));
  }

  isLocked(directory: string): Promise<boolean> {
    return attempt(this.at(directory), () => isDirectoryLocked(this.at(directory)));
  }

  private at(path: string): string {
    return join(this.root, path);
  }

  /** Of many folders that are made in one, each asks for a sync of it: those who ask during one share the next. */
  private syncAt(directory: string): Promise<void> {
    const { syncs } = this;
    const { last, next } = syncs.get(directory) ?? { last: Promise.resolve() };
    if (next !== undefined) return next;
    const sync = last.then(() => {
      // Under way from here on: whoever asks now may have changed what it does not see.
      const running = syncDirectoryAt(directory);
      const done = running
        .catch(() => {})
        .then(() => {
          if (syncs.get(directory) === entry) syncs.delete(directory);
        });
      const entry: DirectorySync = { last: done };
      syncs.set(directory, entry);
      return running;
    });
    syncs.set(directory, { last, next: sync });
    return sync;
  }
}

class RealFile implements DiskFile {
  private readonly path: string;
  private file: FileHandle;
  /** Set from the first durable write on: `file` then writes durably, whatever is written, and is all that is open. */
  private durable: Promise<void> | undefined;

  constructor(path: string, file: FileHandle) {
    this.path = path;
    this.file = file;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return attempt(this.path, async () => {
      const bytes = Buffer.allocUnsafe(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await this.file.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    });
  }

  write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    return attempt(this.path, () => this.writeAll(offset, chunks));
  }

  writeDurably(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    return attempt(this.path, async () => {
      if (DURABLE_WRITES === undefined) {
        await this.writeAll(offset, chunks);
        await this.file.datasync();
        return;
      }
      // What could not be opened, as there were too many files, is opened the next time.
      this.durable ??= this.reopen(DURABLE_WRITES).catch((error: unknown) => {
        this.durable = undefined;
        throw error;
      });
      await this.durable;
      await this.writeAll(offset, chunks);
    });
  }

  truncate(size: number): Promise<void> {
    return attempt(this.path, () => this.file.truncate(size));
  }

  sync(): Promise<void> {
    return attempt(this.path, () => this.file.datasync());
  }

  size(): Promise<number> {
    return attempt(this.path, async () => (await this.file.stat()).size);
  }

  close(): Promise<void> {
    return attempt(this.path, async () => {
      await this.durable?.catch(() => {});
      await this.file.close();
    });
  }

  /** What fails on the one handle before this is seen by a sync on the other: it is opened first. */
  private async reopen(flags: number): Promise<void> {
    const { file } = this;
    this.file = await open(this.path, flags);
    // Waits for what is under way on it.
    await file.close();
  }

  private async writeAll(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    let rest = [...chunks];
    let at = offset;
    while (rest.length > 0) {
      const { bytesWritten } = await this.file.writev(rest, at);
      at += bytesWritten;
      rest = withoutFirst(rest, bytesWritten);
    }
  }
}

/** A write may stop short: what is left of the chunks after `written` bytes. */
function withoutFirst(chunks: Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  let index = 0;
  while (index < chunks.length && skip >= chunks[index]!.length) skip -= chunks[index++]!.length;
  const rest = chunks.slice(index);
  if (rest.length > 0 && skip > 0) rest[0] = rest[0]!.subarray(skip);
  return rest;
}

function syncDirectoryAt(directory: string): Promise<void> {
  return attempt(directory, async () => {
    const file = await open(directory, 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  });
}

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskError(path, error);
  }
}
