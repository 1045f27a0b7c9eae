import { type Clock, type Disk, type Logger, type Timer, VarlogError } from '../base/index.ts';
import type { NodeFolder } from '../log/storage-node/index.ts';

const LOOK_EVERY_MS = 1_000;

/**
 * Sees when the folder of a running node, or a part of it, is taken away: what is open can still be read and written,
 * so that nothing else fails, and all of it is gone when the process ends.
 */
export class FolderWatch {
  private readonly folders: readonly NodeFolder[];
  private readonly disk: Disk;
  private readonly clock: Clock;
  private readonly logger: Logger;
  /** What was reported missing of each folder. */
  private readonly reported = new Map<NodeFolder, string>();
  private timer: Timer;
  private stopped = false;

  constructor(
    folders: readonly NodeFolder[],
    { disk, clock, logger }: { disk: Disk; clock: Clock; logger: Logger },
  ) {
    this.folders = folders;
    this.disk = disk;
    this.clock = clock;
    this.logger = logger;
    this.timer = clock.after(LOOK_EVERY_MS, () => void this.look());
  }

  stop(): void {
    this.stopped = true;
    this.timer.cancel();
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
      const { directory } = folder;
      const facts = { directory, gone };
      this.logger.log('error', 'the folder of this node was taken away', facts);
      folder.lost(takenAway(directory, gone), gone);
    }
    this.timer = this.clock.after(LOOK_EVERY_MS, () => void this.look());
  }

  /** Names that should be there and are not. */
  private async missing({ directory, holds }: NodeFolder): Promise<string[]> {
    const wanted = holds();
    let found: string[];
    try {
      found = await this.disk.list(directory);
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
