import { Backoff, type Clock, type Random, Wakeups } from '../base/index.ts';
import { ScheduleClock, type SnapshotSchedule } from './snapshot-schedule.ts';

const BACKOFF_MS = { first: 1_000, most: 60_000 };

/** A state on its way to where it is kept. */
export interface Captured {
  readonly position: number;
  /** Of the state as it was, made as they are read. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface SnapshotKeeperParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly schedule: SnapshotSchedule;
  /** The state as it is now; `undefined` where it is not whole now. */
  readonly capture: () => Captured | undefined;
  /** Durably kept when it resolves, with the position of the newest that is. */
  readonly save: (captured: Captured) => Promise<number>;
  /** A snapshot was kept, or could not be. */
  readonly changed: () => void;
}

/**
 * Has snapshots made and kept, one at a time. One that fails is no reason to stop: the log has all that it would
 * stand for. It is tried again with the entries that follow, ever less often while it goes on failing.
 */
export class SnapshotKeeper {
  private readonly parts: SnapshotKeeperParts;
  private readonly schedule: ScheduleClock;
  private readonly applying = new Wakeups();
  private saving: Promise<void> | undefined;
  private readonly backoff: Backoff;
  private retryAt = 0;
  /** Position of the newest snapshot that is stored; 0 when there is none. */
  position = 0;
  /** Why the last attempt failed, or what is stored could not be used. */
  error: unknown;

  constructor(parts: SnapshotKeeperParts) {
    this.parts = parts;
    this.schedule = new ScheduleClock(parts.schedule, parts, () => this.takeIfDue());
    this.backoff = new Backoff(parts.random, BACKOFF_MS.first, BACKOFF_MS.most);
  }

  /** The state is that of a snapshot which is kept already. */
  restored(position: number): void {
    this.position = position;
    this.schedule.begin();
    this.applying.wake();
  }

  /** So many more entries were applied, of so many bytes. */
  applied(entries: number, bytes: number): void {
    this.schedule.count(entries, bytes);
    this.takeIfDue();
    this.applying.wake();
  }

  /**
   * Resolves with the position of a snapshot that is kept and stands for all up to `position`, at least. Rejects where it
   * cannot be kept, and with the reason of `signal`.
   */
  async reach(position: number, signal: AbortSignal): Promise<number> {
    while (this.position < position) {
      signal.throwIfAborted();
      if (this.saving === undefined && !this.take()) {
        await this.applying.wait(signal);
        continue;
      }
      await this.saving;
      if (this.error !== undefined) throw this.error;
    }
    return this.position;
  }

  /** No more are made. Resolves when nothing is being kept. */
  async end(): Promise<void> {
    this.schedule.stop();
    await this.saving;
  }

  private takeIfDue(): void {
    if (this.saving !== undefined || !this.schedule.isDue) return;
    if (this.error !== undefined && this.parts.clock.now() < this.retryAt) return;
    this.take();
  }

  /** Whether one was begun, or failed. */
  private take(): boolean {
    const failed = (error: unknown): void => {
      this.retryAt = this.parts.clock.now() + this.backoff.nextMs();
      this.done(error);
    };
    let captured: Captured | undefined;
    try {
      captured = this.parts.capture();
    } catch (error) {
      failed(error);
      return true;
    }
    if (captured === undefined) return false;
    const takeBack = this.schedule.begin();
    const kept = (position: number): void => {
      this.backoff.reset();
      this.position = Math.max(this.position, position);
      this.done(undefined);
    };
    this.saving = this.parts.save(captured).then(kept, (error) => {
      takeBack();
      failed(error);
    });
    return true;
  }

  private done(error: unknown): void {
    this.saving = undefined;
    this.error = error;
    this.parts.changed();
  }
}
