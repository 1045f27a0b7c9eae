import { type Clock, type Disk, type DiskFile, DurationHistogram } from '../base/index.ts';

/** From a drive that has a cache without power to one that is about to fail. */
const SYNC_BOUNDS_MS: readonly number[] = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1_000];

/** Counts how long a disk takes until something is durable. */
export function syncTimes(): DurationHistogram {
  return new DurationHistogram(SYNC_BOUNDS_MS);
}

/** The same disk; `times` hears of every sync of a file or folder and every durable write, also of those that fail. */
export function timeSyncs(disk: Disk, clock: Clock, times: DurationHistogram): Disk {
  const timed = (work: () => Promise<void>): Promise<void> => {
    const begun = clock.now();
    const done = work();
    const note = (): void => times.observe(clock.now() - begun);
    done.then(note, note);
    // As it is: who waits for it is told as soon as without the watch.
    return done;
  };
  const timedFile = (file: DiskFile): DiskFile => ({
    read: (offset, length) => file.read(offset, length),
    write: (offset, chunks) => file.write(offset, chunks),
    writeDurably: (offset, chunks) => timed(() => file.writeDurably(offset, chunks)),
    truncate: (size) => file.truncate(size),
    sync: () => timed(() => file.sync()),
    size: () => file.size(),
    close: () => file.close(),
  });
  return {
    pathOf: (path) => disk.pathOf(path),
    open: async (path, mode) => timedFile(await disk.open(path, mode)),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    list: (directory) => disk.list(directory),
    makeDirectory: (directory) => disk.makeDirectory(directory),
    syncDirectory: (directory) => timed(() => disk.syncDirectory(directory)),
    inspect: (directory) => disk.inspect(directory),
    lock: (directory) => disk.lock(directory),
    isLocked: (directory) => disk.isLocked(directory),
  };
}
