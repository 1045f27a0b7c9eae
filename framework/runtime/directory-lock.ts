import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type DirectoryLock, VarlogError } from '../base/index.ts';
import { hostTimers } from './host-timers.ts';
import { makePath } from './make-path.ts';
import { realRandom } from './random.ts';

/** Folder of the flags, inside the one that is locked. */
const FLAGS = 'LOCK';
/** A flag that is not yet shown to others. */
const HIDDEN = '.new';
const TRIES_MAX = 8;
const PAUSE_MS_MAX = 30;

/** What this process holds or is about to: its own flags need no asking. */
const mine = new Set<string>();

/**
 * Takes a folder for this process. Whoever wants it raises a flag of its own, a socket on which it
 * listens, and then looks at all others: of two that want it, at least the second one to look sees the
 * other's flag. A flag stands while its process lives, whatever that is doing and in whichever
 * container it is, since the operating system answers for it; so a lock dies with its owner.
 * Rejects with `DIRECTORY_IN_USE`.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  if (mine.has(directory)) throw inUse(directory);
  mine.add(directory);
  try {
    const flags = join(directory, FLAGS);
    await makePath(flags);
    const flag = await raise(directory, flags);
    let released: Promise<void> | undefined;
    return {
      release: () => {
        released ??= flag.lower().finally(() => mine.delete(directory));
        return released;
      },
    };
  } catch (error) {
    mine.delete(directory);
    throw error;
  }
}

/** Whether a process has taken a folder, without raising or removing a flag. */
export async function isDirectoryLocked(directory: string): Promise<boolean> {
  const flags = join(directory, FLAGS);
  const names = await readdir(flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) {
    if (!name.endsWith(HIDDEN) && (await stands(flags, name))) return true;
  }
  return false;
}

/** Several may start at once and all see each other: then all step back, for unequal times. */
async function raise(directory: string, flags: string): Promise<Flag> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const flag = await Flag.raise(flags);
    try {
      if (!(await othersStand(flags, flag.name))) return flag;
    } catch (error) {
      await flag.lower();
      throw error;
    }
    await flag.lower();
    await new Promise((resolve) =>
      hostTimers.setTimeout(() => resolve(undefined), realRandom.below(PAUSE_MS_MAX)),
    );
  }
  throw inUse(directory);
}

async function othersStand(flags: string, own: string): Promise<boolean> {
  for (const name of await readdir(flags)) {
    if (name === own || name.endsWith(HIDDEN)) continue;
    if (await stands(flags, name)) return true;
    // Names are never used twice, so this can only be the flag of a process that is gone.
    await rm(join(flags, name), { force: true });
  }
  return false;
}

/** Whether a process listens at a flag. Only a clear no counts as one. */
function stands(flags: string, name: string): Promise<boolean> {
  return inside(
    flags,
    name,
    (path) =>
      new Promise((resolve) => {
        const socket = connect(path);
        socket.once('connect', () => {
          socket.destroy();
          resolve(true);
        });
        socket.once('error', ({ code }: NodeJS.ErrnoException) => {
          resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT');
        });
      }),
  );
}

class Flag {
  readonly name: string;
  private readonly path: string;
  private readonly server: Server;
  private lowered: Promise<void> | undefined;

  private constructor(name: string, path: string, server: Server) {
    this.name = name;
    this.path = path;
    this.server = server;
  }

  /** Listens first and shows the flag then: a flag at which nobody listens yet would look abandoned. */
  static async raise(flags: string): Promise<Flag> {
    const name = realRandom.id().replaceAll('-', '').slice(0, 16);
    const server = createServer((socket) => socket.destroy());
    server.unref();
    await inside(
      flags,
      name + HIDDEN,
      (path) =>
        new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          server.listen(path, () => resolve());
        }),
    );
    const flag = new Flag(name, join(flags, name), server);
    try {
      await rename(flag.path + HIDDEN, flag.path);
    } catch (error) {
      await flag.lower();
      throw error;
    }
    return flag;
  }

  lower(): Promise<void> {
    this.lowered ??= (async () => {
      // One that is left, as on a disk that takes no more writes, says nothing once nobody listens at it.
      const remove = (path: string) => rm(path, { force: true }).catch(() => {});
      await remove(this.path);
      await remove(this.path + HIDDEN);
      await new Promise<void>((resolve) => {
        this.server.close(() => resolve());
      });
    })();
    return this.lowered;
  }
}

/** Socket paths may hold about 100 bytes: a short way to the folder, whatever its name. */
async function inside<T>(
  flags: string,
  name: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  if (process.platform !== 'linux') return use(join(flags, name));
  const folder: FileHandle = await open(flags, 'r');
  try {
    return await use(`/proc/self/fd/${folder.fd}/${name}`);
  } finally {
    await folder.close();
  }
}

function inUse(directory: string): VarlogError {
  return new VarlogError('DIRECTORY_IN_USE', {
    what: `${directory} is in use by another process`,
    next: 'stop that process, or choose another directory',
    details: { directory },
  });
}
