import { type Clock, type Timer, untilNextLook } from '../../base/index.ts';
import { LOG_TIMES } from '../timing.ts';

/** What changes together is looked at together. */
const GATHER_MS = 10;

/** Looks when it is told that something happened, and again and again until all is well. */
export class Lookout {
  private readonly clock: Clock;
  private readonly look: () => boolean;
  private timer: Timer | undefined;
  /** When the timer rings. */
  private due = 0;
  /** It spends no more than half of the time on it: the more there is to look at, the more else is to be done too. */
  private restsUntil = 0;
  /** Whether something happened while it looked, or is left to be done. */
  private isToldMeanwhile = false;
  private isLooking = false;
  private stopped = false;

  /** `look` returns whether all is well. It is called for the first time in a moment. */
  constructor(clock: Clock, look: () => boolean) {
    this.clock = clock;
    this.look = look;
    this.soon();
  }

  /** Something happened. */
  soon(): void {
    if (this.isLooking) this.isToldMeanwhile = true;
    else this.lookIn(Math.max(GATHER_MS, this.restsUntil - this.clock.now()));
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private lookIn(ms: number): void {
    const due = this.clock.now() + ms;
    if (this.stopped || (this.timer !== undefined && this.due <= due)) return;
    this.timer?.cancel();
    this.due = due;
    this.timer = this.clock.after(ms, () => {
      this.timer = undefined;
      const begin = this.clock.now();
      this.isToldMeanwhile = false;
      this.isLooking = true;
      const isWell = this.look();
      this.isLooking = false;
      const tookMs = this.clock.now() - begin;
      this.restsUntil = begin + 2 * tookMs;
      const everyMs = isWell
        ? untilNextLook(this.clock, LOG_TIMES.repairAtRestEveryMs)
        : LOG_TIMES.repairEveryMs;
      this.lookIn(Math.max(this.isToldMeanwhile ? GATHER_MS : everyMs, tookMs));
    });
  }
}
