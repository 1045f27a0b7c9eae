import type { Clock, Disk, DiskFile, Logger } from '../../base/index.ts';
import { syncTimes, timeSyncs } from '../../store/index.ts';

/** A write or sync that takes longer than this is not well. */
const SLOW_MS = 1_000;
/** How long a slow operation is remembered. */
const WINDOW_MS = 30_000;

/** A disk that notes how long it takes to write: one that hangs raises no error, and must be seen all the same. */
export class DiskWatch {
  /** The same disk, watched. */
  readonly disk: Disk;
  /** How long everything took until it was durable. */
  readonly syncs = syncTimes();
  private readonly clock: Clock;
  private readonly logger: Logger;
  /** When the operations that are under way began, the oldest first. */
  private readonly underWay = new Set<{ readonly since: number }>();
  private slowest = { ms: 0, at: 0 };
  private isSlow = false;

  constructor(watched: Disk, clock: Clock, logger: Logger) {
    const disk = timeSyncs(watched, clock, this.syncs);
    this.clock = clock;
    this.logger = logger;
    this.disk = {
      pathOf: (path) => disk.pathOf(path),
      open: async (path, mode) => this.watched(await disk.open(path, mode)),
      rename: (from, to) => disk.rename(from, to),
      remove: (path) => disk.remove(path),
      list: (directory) => disk.list(directory),
      makeDirectory: (directory) => disk.makeDirectory(directory),
      syncDirectory: (directory) => this.timed(() => disk.syncDirectory(directory)),
      inspect: (directory) => disk.inspect(directory),
      lock: (directory) => disk.lock(directory),
      isLocked: (directory) => disk.isLocked(directory),
    };
  }

  /** The longest that a write or sync took in the last half minute, in milliseconds, also one that is not done. */
  get slowestMs(): number {
    const now = this.clock.now();
    const [oldest] = this.underWay;
    const pending = oldest === undefined ? 0 : now - oldest.since;
    return Math.max(pending, now - this.slowest.at > WINDOW_MS ? 0 : this.slowest.ms);
  }

  private watched(file: DiskFile): DiskFile {
    return {
      read: (offset, length) => file.read(offset, length),
      write: (offset, chunks) => this.timed(() => file.write(offset, chunks)),
      writeDurably: (offset, chunks) => this.timed(() => file.writeDurably(offset, chunks)),
      truncate: (size) => file.truncate(size),
      sync: () => this.timed(() => file.sync()),
      size: () => file.size(),
      close: () => file.close(),
    };
  }

  private async timed(work: () => Promise<void>): Promise<void> {
    const operation = { since: this.clock.now() };
    this.underWay.add(operation);
    try {
      await work();
    } finally {
      this.underWay.delete(operation);
      this.note(this.clock.now() - operation.since);
    }
  }

  private note(ms: number): void {
    const now = this.clock.now();
    if (ms >= this.slowest.ms || now - this.slowest.at > WINDOW_MS) this.slowest = { ms, at: now };
    const isSlow = this.slowestMs >= SLOW_MS;
    if (isSlow === this.isSlow) return;
    this.isSlow = isSlow;
    const facts = { slowestMs: Math.round(this.slowestMs) };
    if (isSlow) this.logger.log('warn', 'the disk is slow', facts);
    else this.logger.log('info', 'the disk is as fast as before', facts);
  }
}
