import { Backoff, type Clock, type Random } from '../base/index.ts';

const BACKOFF_MS = { first: 1_000, most: 60_000 };

export interface SnapshotKeeperParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Entries between snapshots. */
  readonly every: number;
  /** Encodes the state as it is now. */
  readonly make: () => Uint8Array;
  /** Durably kept when it resolves. */
  readonly save: (position: number, state: Uint8Array) => Promise<void>;
  /** A snapshot was kept, or could not be. */
  readonly changed: () => void;
}

/**
 * Has snapshots made and kept, one at a time. One that fails is no reason to stop: the log has all that it would
 * stand for. It is tried again with the entries that follow, ever less often while it goes on failing.
 */
export class SnapshotKeeper {
  private readonly parts: SnapshotKeeperParts;
  private entries = 0;
  private saving: Promise<void> | undefined;
  private readonly backoff: Backoff;
  private retryAt = 0;
  /** Position of the newest snapshot that is stored; 0 when there is none. */
  position = 0;
  /** Why the last attempt failed. */
  error: unknown;

  constructor(parts: SnapshotKeeperParts) {
    this.parts = parts;
    this.backoff = new Backoff(parts.random, BACKOFF_MS.first, BACKOFF_MS.most);
  }

  /** The state is that of a snapshot which is kept already. */
  restored(position: number): void {
    this.position = position;
    this.entries = 0;
  }

  /** So many more entries were applied, up to `position`. */
  applied(entries: number, position: number): void {
    this.entries += entries;
    if (this.saving !== undefined || this.entries < this.parts.every) return;
    if (this.error !== undefined && this.parts.clock.now() < this.retryAt) return;
    this.take(position);
  }

  /** Resolves when nothing is being kept. */
  async settled(): Promise<void> {
    await this.saving;
  }

  private take(position: number): void {
    const { make, save } = this.parts;
    let entries = this.entries;
    this.entries = 0;
    const failed = (error: unknown): void => {
      this.entries += entries;
      this.retryAt = this.parts.clock.now() + this.backoff.nextMs();
      this.done(error);
    };
    let state: Uint8Array;
    try {
      state = make();
    } catch (error) {
      failed(error);
      return;
    }
    this.saving = save(position, state).then(() => {
      entries = 0;
      this.backoff.reset();
      this.position = Math.max(this.position, position);
      this.done(undefined);
    }, failed);
  }

  private done(error: unknown): void {
    this.saving = undefined;
    this.error = error;
    this.parts.changed();
  }
}
