import {
  type Clock,
  type Disk,
  type Logger,
  type Timer,
  untilNextLook,
  VarlogError,
} from '../base/index.ts';

/** So often while something is written … */
const LOOK_EVERY_MS = 1_000;
/** … and every so many times of that while nothing is: nothing is lost then that was acknowledged meanwhile. */
const IDLE_LOOK_EVERY = 5;

/**
 * A folder that must stay while a process uses it. Whoever sees that something is gone says so: what is written there is
 * lost when this process ends, so that nothing more may be acknowledged.
 */
export interface WatchedFolder {
  readonly directory: string;
  /** The names that must be in it now. */
  holds(): readonly string[] | 'something';
  /** Whether this process has it locked for as long as it uses it. */
  readonly isLocked: boolean;
  /** These of them are gone. */
  lost(error: VarlogError, gone: readonly string[]): void;
}

/**
 * Sees when the folder of a running node, or a part of it, is taken away: what is open can still be read and written,
 * so that nothing else fails, and all of it is gone when the process ends.
 */
export class FolderWatch {
  private readonly folders: readonly WatchedFolder[];
  private readonly disk: Disk;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly syncs: () => number;
  /** How much had been synced at the last look, and how often nothing was looked at since. */
  private syncsSeen = -1;
  private skipped = 0;
  /** What was reported missing of each folder. */
  private readonly reported = new Map<WatchedFolder, string>();
  private timer: Timer;
  private stopped = false;

  /** `syncs`: how often something was synced in the folders so far. */
  constructor(
    folders: readonly WatchedFolder[],
    { disk, clock, logger }: { disk: Disk; clock: Clock; logger: Logger },
    syncs: () => number,
  ) {
    this.folders = folders;
    this.disk = disk;
    this.clock = clock;
    this.logger = logger;
    this.syncs = syncs;
    this.timer = this.lookLater();
  }

  stop(): void {
    this.stopped = true;
    this.timer.cancel();
  }

  private lookLater(): Timer {
    const { clock } = this;
    return clock.after(untilNextLook(clock, LOOK_EVERY_MS), () => void this.lookIfDue());
  }

  private async lookIfDue(): Promise<void> {
    const syncs = this.syncs();
    const isDue = syncs !== this.syncsSeen || ++this.skipped >= IDLE_LOOK_EVERY;
    if (isDue) {
      this.syncsSeen = syncs;
      this.skipped = 0;
      await this.look();
    }
    if (!this.stopped) this.timer = this.lookLater();
  }

  private async look(): Promise<void> {
    // All at once, so that an idle process wakes up once for them.
    const missing = await Promise.all(this.folders.map((it) => this.missing(it)));
    if (this.stopped) return;
    for (const [at, folder] of this.folders.entries()) {
      const gone = missing[at]!;
      if (String(gone) === this.reported.get(folder)) continue;
      if (gone.length === 0) {
        this.reported.delete(folder);
        continue;
      }
      this.reported.set(folder, String(gone));
      const directory = this.disk.pathOf(folder.directory);
      const facts = { directory, gone };
      this.logger.log('error', 'the folder of this node was taken away', facts);
      folder.lost(takenAway(directory, gone), gone);
    }
  }

  /** Names that should be there and are not. */
  private async missing({ directory, holds, isLocked }: WatchedFolder): Promise<string[]> {
    const wanted = holds();
    let found: string[];
    try {
      found = await this.disk.list(directory);
      // Another folder in its place, such as a copy that was restored, may have all the names. Only the right one is locked.
      if (isLocked && !(await this.disk.isLocked(directory))) return ['*'];
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      // A disk that cannot be asked says nothing about its folders; but here a file stands in the place of one.
      if (error.details['errno'] !== 'ENOTDIR') return [];
      found = [];
    }
    if (wanted === 'something') return found.length === 0 ? ['*'] : [];
    // What the node itself moved in the meantime is not missed.
    const still = new Set(holds());
    const names = new Set(found);
    return wanted.filter((it) => still.has(it) && !names.has(it));
  }
}

function takenAway(directory: string, gone: readonly string[]): VarlogError {
  const paths = gone.map((it) => `${directory}/${it}`).join(', ');
  return new VarlogError('DISK_FAILED', {
    what: `taken away from under this node: ${paths}`,
    because: 'what is written there is lost when this process ends',
    next: 'bring the folder back and start this node again, or replace the node',
    details: { directory },
  });
}
