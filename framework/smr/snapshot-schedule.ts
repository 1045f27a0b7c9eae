import type { Clock, Random, Timer } from '../base/index.ts';

/**
 * When a snapshot is made: as soon as one of these is reached since the last one. At up to a quarter less, drawn each
 * time, so that not all replicas make theirs at once.
 */
export interface SnapshotSchedule {
  /** Entries that were applied. */
  readonly entries?: number;
  /** Bytes of their commands. */
  readonly bytes?: number;
  /** Milliseconds since the first entry that the last one does not stand for: where nothing is applied, none is made. */
  readonly ms?: number;
}

const SPREAD = 0.25;

/** Says when a snapshot is due. */
export class ScheduleClock {
  private readonly schedule: SnapshotSchedule;
  private readonly ports: { readonly clock: Clock; readonly random: Random };
  /** Called when one has become due by time. */
  private readonly onDue: () => void;
  private part: number;
  private entries = 0;
  private bytes = 0;
  private timer: Timer | undefined;
  private isLate = false;

  constructor(
    schedule: SnapshotSchedule,
    ports: { readonly clock: Clock; readonly random: Random },
    onDue: () => void,
  ) {
    this.schedule = schedule;
    this.ports = ports;
    this.onDue = onDue;
    this.part = this.draw();
  }

  get isDue(): boolean {
    const { entries = Infinity, bytes = Infinity } = this.schedule;
    if (this.isLate) return true;
    return this.entries >= this.share(entries) || this.bytes >= this.share(bytes);
  }

  count(entries: number, bytes: number): void {
    this.entries += entries;
    this.bytes += bytes;
    const { ms } = this.schedule;
    if (ms === undefined || entries === 0) return;
    this.timer ??= this.ports.clock.after(this.share(ms), () => {
      this.isLate = true;
      this.onDue();
    });
  }

  /** What was counted belongs to a snapshot. Gives back what counts it again, where that cannot be kept. */
  begin(): () => void {
    const { entries, bytes } = this;
    this.stop();
    this.entries = 0;
    this.bytes = 0;
    this.part = this.draw();
    return () => this.count(entries, bytes);
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.isLate = false;
  }

  private share(limit: number): number {
    return Math.ceil(limit * this.part);
  }

  private draw(): number {
    return 1 - SPREAD * this.ports.random.fraction();
  }
}
