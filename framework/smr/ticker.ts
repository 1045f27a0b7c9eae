import { Backoff, type Ports, type Timer } from '../base/index.ts';
import type { Admission } from './admission.ts';
import { type Anchor, clockAt } from './log-time.ts';

/** Replicas of a log that nobody leads wait for so long at most, each for a part of it, to see whether another one ticks. */
const SPREAD_MS = 100;
/** One that knows that another one leads waits for so long, and the spread: that one may have no replica. */
const BEHIND_LEADER_MS = 1_000;
const BACKOFF_MS = { first: 50, most: 5_000 };
const LEAST_MS = 1;
/** So often, at the least, it looks at the wall clock, which may have been set. */
const LOOK_MS = 60_000;

export interface TickerParts extends Pick<Ports, 'clock' | 'random'> {
  /** Aborted when the replica ends. */
  readonly signal: AbortSignal;
  readonly admission: () => Admission;
  /** Session in which this replica writes; 0 for none. */
  readonly session: () => number;
  /** Whether this member leads the log; `undefined` where nobody does. */
  readonly leads: () => boolean | undefined;
  /** Appends an entry that brings the log's time forward; resolves with its position. */
  readonly tick: () => Promise<number>;
}

/**
 * Has the log's time go on where a timer is due and nobody writes anything. An entry is proposed when the timer would be
 * due by the clock of this replica, by the rules of the log's time: what is due is decided by the log alone, so one that
 * comes too early or twice does no harm. As long as no timer waits nothing is written.
 */
export class Ticker {
  private readonly parts: TickerParts;
  private readonly backoff: Backoff;
  private running = false;
  private ticking = false;
  /** Position of the newest tick of this replica. */
  private ticked = 0;
  private applied = 0;
  /** The timer that is waited for, and the part of the spread that was drawn for it. */
  private at: number | undefined;
  private share = 0;
  /** How this replica's clock stood when the log's time was brought forward last. */
  private seen: Anchor = { clock: 0, usedAt: 0 };
  private alarm: { readonly timer: Timer; readonly ringAt: number } | undefined;

  constructor(parts: TickerParts) {
    this.parts = parts;
    this.backoff = new Backoff(parts.random, BACKOFF_MS.first, BACKOFF_MS.most);
  }

  /** From now on it ticks: before the replica has caught up, timers seem to wait that were due long ago. */
  start(): void {
    this.running = true;
    this.arm();
  }

  /** Everything up to `position` is in the state. */
  advance(position: number): void {
    this.applied = position;
    this.arm();
  }

  stop(): void {
    this.running = false;
    this.disarm();
  }

  private arm(): void {
    const { clock, random, admission } = this.parts;
    const { timers, time } = admission();
    const at = timers.earliest;
    if (at === undefined || !this.running || this.ticking || this.ticked > this.applied) {
      this.disarm();
      return;
    }
    if (at !== this.at) {
      this.at = at;
      this.share = random.fraction();
    }
    if (time !== this.seen.usedAt) this.seen = { clock: clock.wall(), usedAt: time };
    const ms = Math.min(Math.max(this.leftMs(at), LEAST_MS), LOOK_MS);
    const ringAt = clock.now() + ms;
    if (this.alarm !== undefined && this.alarm.ringAt <= ringAt) return;
    this.disarm();
    this.alarm = { timer: clock.after(ms, () => this.ring(at)), ringAt };
  }

  /** By this replica's clock, until it ticks for what is due at `at`. */
  private leftMs(at: number): number {
    const { clock, admission, session, leads } = this.parts;
    const { sessions, leapMaxMs } = admission();
    const anchor = sessions.anchorOf(session()) ?? this.seen;
    // An entry that comes after a longer pause than may be is too short a step.
    const dueAt = Math.min(clockAt(at, anchor), anchor.clock + leapMaxMs / 2);
    const isLed = leads();
    const behind = isLed === false ? BEHIND_LEADER_MS : 0;
    const spread = isLed === true ? 0 : this.share * SPREAD_MS;
    return dueAt - clock.wall() + behind + spread;
  }

  private ring(at: number): void {
    this.alarm = undefined;
    // Another one may be the earliest now, or the clock may have been set.
    if (at === this.at && this.leftMs(at) <= 0) void this.tick();
    else this.arm();
  }

  private async tick(): Promise<void> {
    const { clock, signal, tick } = this.parts;
    this.ticking = true;
    try {
      this.ticked = await tick();
      this.backoff.reset();
    } catch {
      await this.backoff.pause(clock, signal);
    }
    this.ticking = false;
    this.arm();
  }

  private disarm(): void {
    this.alarm?.timer.cancel();
    this.alarm = undefined;
  }
}
