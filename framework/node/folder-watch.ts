import { type Clock, type Disk, type Logger, type Timer, VarlogError } from '../base/index.ts';

const LOOK_EVERY_MS = 2_000;

/**
 * Sees when the folder of a running node is taken away: what is open can still be read and written, so that nothing
 * fails, and all of it is gone when the process ends.
 */
export class FolderWatch {
  private readonly folders: readonly string[];
  private readonly disk: Disk;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private gone: string[] = [];
  private timer: Timer;
  private stopped = false;

  constructor(
    folders: readonly string[],
    { disk, clock, logger }: { disk: Disk; clock: Clock; logger: Logger },
  ) {
    this.folders = folders;
    this.disk = disk;
    this.clock = clock;
    this.logger = logger;
    this.timer = clock.after(LOOK_EVERY_MS, () => void this.look());
  }

  /** A sentence for each folder that is gone. */
  notReady(): string[] {
    return this.gone.map(
      (it) =>
        `the folder ${it} was taken away: what is written there is lost when this process ends; copy what you need by way of the log, and start again with the folder brought back`,
    );
  }

  stop(): void {
    this.stopped = true;
    this.timer.cancel();
  }

  private async look(): Promise<void> {
    const gone: string[] = [];
    for (const it of this.folders) if (!(await this.isThere(it))) gone.push(it);
    if (this.stopped) return;
    for (const directory of gone) {
      if (this.gone.includes(directory)) continue;
      this.logger.log('error', 'the folder of this node was taken away', { directory });
    }
    this.gone = gone;
    this.timer = this.clock.after(LOOK_EVERY_MS, () => void this.look());
  }

  private async isThere(directory: string): Promise<boolean> {
    try {
      return (await this.disk.list(directory)).length > 0;
    } catch (error) {
      if (!VarlogError.is(error)) throw error;
      return false;
    }
  }
}
