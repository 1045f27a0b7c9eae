import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** How good the links are. May be changed while the world runs. */
export interface LinkQuality {
  /** One way. Every message takes at least this, and an exponentially distributed time of `latencyMeanMs` more. */
  latencyMinMs: number;
  latencyMeanMs: number;
  /** Share of the messages that must be sent again, 0 to 1: they and all messages after them come late. */
  lossRate: number;
  /** Share of the messages that break their connection, 0 to 1. */
  resetRate: number;
  /** Share of the attempts to connect that are refused although somebody listens, 0 to 1. */
  refuseRate: number;
  /** How much passes a connection in a millisecond. */
  bytesPerMs: number;
}

export const GOOD_LINKS: LinkQuality = {
  latencyMinMs: 0.05,
  latencyMeanMs: 0.1,
  lossRate: 0,
  resetRate: 0,
  refuseRate: 0,
  bytesPerMs: Infinity,
};

const RETRANSMIT_MS = 200;

/** The directed links between hosts: how long they take, and which are blocked. */
export class Links {
  quality: LinkQuality;
  private readonly random: SeededRandom;
  private readonly scheduler: Scheduler;
  /** How many blocks lie on each link that is blocked. */
  private readonly blocks = new Map<string, number>();
  private readonly waiting = new Set<() => void>();

  constructor(scheduler: Scheduler, random: SeededRandom, quality: LinkQuality) {
    this.scheduler = scheduler;
    this.random = random;
    this.quality = quality;
  }

  /** Blocks one direction until the returned function is called or {@link heal} is. Blocks add up. */
  block(from: string, to: string): () => void {
    const link = `${from}>${to}`;
    this.blocks.set(link, (this.blocks.get(link) ?? 0) + 1);
    let lifted = false;
    return () => {
      if (lifted) return;
      lifted = true;
      const left = (this.blocks.get(link) ?? 0) - 1;
      if (left > 0) this.blocks.set(link, left);
      else this.blocks.delete(link);
      this.opened();
    };
  }

  heal(): void {
    this.blocks.clear();
    this.opened();
  }

  isBlocked(from: string, to: string): boolean {
    return this.blocks.size > 0 && this.blocks.has(`${from}>${to}`);
  }

  /** Calls `retry` some time after a block was lifted, whichever it was. */
  whenOpened(retry: () => void): void {
    this.waiting.add(retry);
  }

  delayMs(bytes: number): number {
    const { latencyMinMs, latencyMeanMs, lossRate, bytesPerMs } = this.quality;
    let ms = latencyMinMs + bytes / bytesPerMs;
    if (latencyMeanMs > 0) ms += this.random.exponential(latencyMeanMs);
    let again = RETRANSMIT_MS;
    while (lossRate > 0 && this.random.chance(lossRate) && again < 16 * RETRANSMIT_MS) {
      ms += again;
      again *= 2;
    }
    return ms;
  }

  resets(): boolean {
    return this.quality.resetRate > 0 && this.random.chance(this.quality.resetRate);
  }

  refuses(): boolean {
    return this.quality.refuseRate > 0 && this.random.chance(this.quality.refuseRate);
  }

  private opened(): void {
    const retries = [...this.waiting];
    this.waiting.clear();
    for (const retry of retries) {
      this.scheduler.after(this.random.fraction() * RETRANSMIT_MS, retry);
    }
  }
}
