import type { ReplicaCore } from '../core/index.ts';
import type { ReplicaState, ReplicaStorage } from './replica-storage.ts';

/** The beginning of a replica's log: what is trimmed, and how much of that is off the disk. */
export class Head {
  private readonly core: ReplicaCore;
  private readonly storage: ReplicaStorage;
  /** Saves durably. False: there is no room now, and it is tried again later. */
  private readonly save: (change: Partial<ReplicaState>) => Promise<boolean>;
  private trimmed = 0;
  /** Records up to this GLSN are off the disk. An earlier life may not have come to what it had noted. */
  private dropped = 0;

  constructor(
    core: ReplicaCore,
    storage: ReplicaStorage,
    save: (change: Partial<ReplicaState>) => Promise<boolean>,
  ) {
    this.core = core;
    this.storage = storage;
    this.save = save;
  }

  /** Records up to this GLSN are not to be read any more. */
  get trimmedGlsn(): number {
    return Math.max(this.trimmed, this.storage.state.trimmedGlsn);
  }

  /** Whether records up to `watermark` are still to be dropped. */
  isDue(watermark: number): boolean {
    return this.dropped < Math.min(this.trimmedGlsn, watermark);
  }

  /** Removes records up to GLSN `glsn`, of a log that is complete up to GLSN `watermark`. */
  async drop(glsn: number, watermark: number): Promise<void> {
    if (glsn <= this.dropped) return;
    // Below it nothing is read any more, from here on.
    this.trimmed = Math.max(this.trimmed, glsn);
    const isNoted = await this.note(glsn);
    const { commits, records } = this.storage;
    // Taken before the search: what is committed during it may lie above.
    const { committedEnd, version } = this.core;
    const commit = await commits.findByGlsn(glsn + 1);
    const first =
      commit === undefined ? committedEnd + 1 : commit.llsn + Math.max(0, glsn + 1 - commit.glsn);
    await records.trimHead(Math.max(records.first, Math.min(first, committedEnd + 1)));
    await commits.trim(commit?.version ?? version);
    // On a full disk that has made room for the note.
    if (!isNoted && !(await this.note(glsn))) return;
    // What was ordered below it and has not come yet is dropped once it has.
    this.dropped = commit === undefined ? Math.min(glsn, watermark) : glsn;
  }

  private async note(glsn: number): Promise<boolean> {
    return glsn <= this.storage.state.trimmedGlsn || this.save({ trimmedGlsn: glsn });
  }
}
