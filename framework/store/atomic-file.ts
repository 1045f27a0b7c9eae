import { type Disk, type DiskFile, type ErrorCode, reasonOf, VarlogError } from '../base/index.ts';

/**
 * A small file that is replaced as a whole: after a crash at any point there is the old content or the new one, and
 * once {@link replaceFile} has resolved, or {@link readReplaced} has returned it, it stays. It is written under another
 * name, synced, renamed, and the folder is synced.
 */

/**
 * What `decode` makes of the file; `undefined` where there is none. Then removes the remains of an interrupted
 * replacement. Where `decode` throws, as for a file of a later version, nothing is touched.
 */
export async function readReplaced<T>(
  disk: Disk,
  path: string,
  decode: (bytes: Uint8Array) => T,
): Promise<T | undefined> {
  const bytes = await readWhole(disk, path);
  const content = bytes === undefined ? undefined : decode(bytes);
  await disk.remove(temporary(path));
  // A process that died between renaming and syncing left a content that a power loss would take
  // back, after the caller acted on it.
  if (bytes !== undefined) await disk.syncDirectory(folderOf(path));
  return content;
}

/**
 * Replaces the content, one call at a time. Rejects with `DISK_FULL` when there is no room for the new one: the old
 * one stays, and another try may succeed. Rejects with `DISK_FAILED` for anything else: which of the two is on the disk
 * is not known then.
 */
export function replaceFile(
  disk: Disk,
  path: string,
  chunks: readonly Uint8Array[],
): Promise<void> {
  return replaceFileBy(disk, path, (file) => file.write(0, chunks));
}

/** What says that the disk cannot be relied on. A full one can. */
const FAILURES: ReadonlySet<ErrorCode> = new Set([
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'DIRECTORY_UNWRITABLE',
  'DIRECTORY_IN_USE',
  'DISK_FAILED',
]);

/**
 * The same for a content that `write` writes into the new file, in as many steps as it likes. Where that throws something
 * that is not of the disk, the old content stays, and the error is passed on.
 */
export async function replaceFileBy(
  disk: Disk,
  path: string,
  write: (file: DiskFile) => Promise<void>,
): Promise<void> {
  let renamed = false;
  try {
    await fillNew(disk, temporary(path), write);
    await disk.rename(temporary(path), path);
    renamed = true;
    await disk.syncDirectory(folderOf(path));
  } catch (cause) {
    if (!renamed && !(VarlogError.is(cause) && FAILURES.has(cause.code))) {
      // A content that did not fit, or was given up, must not take the room that others need.
      await disk.remove(temporary(path)).catch(() => {});
      throw cause;
    }
    const shown = disk.pathOf(path);
    throw new VarlogError('DISK_FAILED', {
      what: `${shown} could not be replaced`,
      because: reasonOf(cause),
      next: 'repair the disk and start again',
      details: { path: shown, reason: VarlogError.is(cause) ? cause.code : 'INTERNAL' },
      cause,
    });
  }
}

/** Writes a file anew, durably; its name is not. */
export function writeNew(disk: Disk, path: string, chunks: readonly Uint8Array[]): Promise<void> {
  return fillNew(disk, path, (file) => file.write(0, chunks));
}

async function fillNew(
  disk: Disk,
  path: string,
  write: (file: DiskFile) => Promise<void>,
): Promise<void> {
  const file = await disk.open(path, 'create');
  try {
    await file.truncate(0);
    await write(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

function temporary(path: string): string {
  return `${path}.new`;
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '.' : path.slice(0, slash);
}

async function readWhole(disk: Disk, path: string): Promise<Uint8Array | undefined> {
  let file: DiskFile;
  try {
    file = await disk.open(path, 'existing');
  } catch (error) {
    if (VarlogError.is(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
  try {
    return await file.read(0, await file.size());
  } finally {
    await file.close();
  }
}
