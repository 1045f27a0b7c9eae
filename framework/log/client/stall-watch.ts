import { Backoff, type Ports, type Timer } from '../../base/index.ts';

/** A record that others have passed is waited for so long before anything is done about it. */
const STALL_MS = 1_000;
const STALL_LIMIT_MS = 5_000;
/** Where there are no log streams to wait on, they are looked for sooner. */
const IDLE_MS = 10_000;

/** What is watched. */
export interface Watched {
  /** Grows with every delivery. */
  position(): number;
  /** Whether something is missing. */
  isStalled(): boolean;
  /** Does something about it; `idle`: nothing is known to be missing, only that nothing came for long. */
  resolve(idle: boolean): Promise<void>;
}

/**
 * Keeps a subscription from stopping silently. While nothing is missing it asks for the tail every ten
 * seconds without a delivery: a replica may be cut off from the cluster and not know it.
 */
export class StallWatch {
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly watched: Watched;
  private readonly backoff: Backoff;
  private timer: Timer | undefined;
  private ringsAt = Infinity;
  private armedAtPosition = 0;
  private isClosed = false;

  constructor(ports: Pick<Ports, 'clock' | 'random'>, watched: Watched) {
    this.ports = ports;
    this.watched = watched;
    this.backoff = new Backoff(ports.random, STALL_MS, STALL_LIMIT_MS);
  }

  /** To be called when the reader waits: makes sure that a timer runs, and that it is soon enough. */
  check(): void {
    if (this.isClosed) return;
    const soon = this.watched.isStalled();
    const now = this.ports.clock.now();
    const at = now + (soon ? STALL_MS : IDLE_MS);
    if (this.timer !== undefined && this.ringsAt <= at) return;
    this.arm(at - now);
  }

  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
  }

  private arm(ms: number): void {
    this.timer?.cancel();
    this.ringsAt = this.ports.clock.now() + ms;
    this.armedAtPosition = this.watched.position();
    this.timer = this.ports.clock.after(ms, () => this.ring());
  }

  private ring(): void {
    this.timer = undefined;
    const moved = this.watched.position() !== this.armedAtPosition;
    if (moved) {
      this.backoff.reset();
      this.check();
      return;
    }
    const stalled = this.watched.isStalled();
    this.watched
      .resolve(!stalled)
      // Tried again, later and later.
      .catch(() => {})
      .finally(() => {
        if (this.isClosed || this.timer !== undefined) return;
        this.arm(stalled ? this.backoff.nextMs() : IDLE_MS);
      });
  }
}
