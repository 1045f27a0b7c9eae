import { Timer as TimerMessage } from '../wire/gen/smr.ts';
import { type Timer, TimerQueue } from './timer-queue.ts';

/**
 * How much may be scheduled. It decides what a command can do, so it must be equal on all replicas of a machine.
 */
export interface TimerLimits {
  /** Over so many bytes `schedule` refuses. Each timer counts as its command, encoded, and 128. */
  bytesMax: number;
}

export const TIMER_LIMITS: TimerLimits = { bytesMax: 16 * 1024 * 1024 };

/** A command whose time has come, and where it is to be applied. */
export interface DueCommand {
  readonly position: number;
  readonly index: number;
  readonly time: number;
  readonly timer: number;
  readonly command: Uint8Array;
}

/** How the timers of a machine fare: see `ReplicaStatus`. */
export interface TimersStatus {
  /** How many wait. */
  readonly waiting: number;
  /** When the next one is due, in milliseconds since 1970; `undefined` where none waits. */
  readonly nextAt: number | undefined;
  /** By how many milliseconds of the log's time the last one came after it was due; `undefined` where none has come here. */
  readonly lastLateMs: number | undefined;
}

/** What a timer costs beside its command. */
const TIMER_BYTES = 128;

/**
 * The commands that wait for their time: part of the replicated state. They are scheduled by commands and are due by the
 * log's time alone, so on all replicas they take effect at the same place.
 */
export class TimerTable {
  private readonly limits: TimerLimits;
  private readonly touched: (id: number) => void;
  private queue = new TimerQueue();
  private bytes = 0;
  private newest = 0;
  private lastLateMs: number | undefined;

  /** `touched` is told of each timer that is added or removed: for tables kept row by row. */
  constructor(limits: TimerLimits, touched: (id: number) => void = () => {}) {
    this.limits = limits;
    this.touched = touched;
  }

  /** How many were ever scheduled: the id of the newest one. */
  get made(): number {
    return this.newest;
  }

  /** When the next one is due; `undefined` where none waits. */
  get earliest(): number | undefined {
    return this.queue.first?.at;
  }

  /** How many bytes more may wait. */
  get room(): number {
    return this.limits.bytesMax - this.bytes;
  }

  get status(): TimersStatus {
    return { waiting: this.queue.size, nextAt: this.earliest, lastLateMs: this.lastLateMs };
  }

  /** One that waits. */
  get(id: number): Timer | undefined {
    return this.queue.get(id);
  }

  /** The id of the new timer; `undefined` where no more may wait. */
  schedule(at: number, command: Uint8Array): number | undefined {
    if (costOf(command) > this.room) return undefined;
    this.put({ id: ++this.newest, at, command });
    return this.newest;
  }

  /** What was cancelled, where it was still waiting. */
  cancel(id: number): Timer | undefined {
    const timer = this.queue.delete(id);
    if (timer === undefined) return undefined;
    this.bytes -= costOf(timer.command);
    this.touched(id);
    return timer;
  }

  /** Takes back the newest `schedule`. */
  unschedule(id: number): void {
    this.cancel(id);
    this.newest = id - 1;
  }

  /** Takes back a `cancel`. */
  put(timer: Timer): void {
    this.queue.add(timer);
    this.bytes += costOf(timer.command);
    this.touched(timer.id);
  }

  /** Takes out the next one, in the order of time and then of ids, if it is due at this time of the log. */
  takeDue(time: number): Timer | undefined {
    return this.isDue(time) ? this.cancel(this.queue.first!.id) : undefined;
  }

  /** Whether there is one whose time has come when the log's time is `time`. */
  isDue(time: number): boolean {
    const { first } = this.queue;
    return first !== undefined && first.at <= time;
  }

  /**
   * Takes out what is due when the log's time is `time`, one after the other, each to be applied before the next is taken: it may schedule
   * more. All go before the entry at `position`. Those for which `passes` is true are dropped.
   */
  *due(
    position: number,
    time: number,
    passes: (id: number) => boolean = () => false,
  ): Generator<DueCommand> {
    let index = 0;
    for (let due = this.takeDue(time); due !== undefined; due = this.takeDue(time)) {
      const { id: timer, at, command } = due;
      if (passes(timer)) continue;
      this.lastLateMs = time - at;
      yield { position, index: index++, time, timer, command };
    }
  }

  /** All timers as they are now, by id: made as they are read, once. */
  encode(): Iterable<TimerMessage> {
    return messagesOf([...this.queue.values()]);
  }

  /** One timer; `undefined` where it does not wait. */
  encodeOne(id: number): TimerMessage | undefined {
    const timer = this.queue.get(id);
    return timer === undefined ? undefined : TimerMessage.create(timer);
  }

  /** An empty one, to be filled by {@link restore} while this one goes on, until it is {@link replace}d. */
  fresh(): TimerTable {
    return new TimerTable(this.limits);
  }

  /** Adds one as it was stored. */
  restore({ id, at, command }: TimerMessage): void {
    // A copy: it would keep the whole snapshot in memory that it is part of.
    this.put({ id, at, command: new Uint8Array(command) });
  }

  /** Has what the {@link fresh} one has, from now on; that is used no more. */
  replace({ queue, bytes }: TimerTable, made: number): void {
    this.queue = queue;
    this.bytes = bytes;
    this.newest = made;
  }
}

function* messagesOf(timers: readonly Timer[]): Generator<TimerMessage> {
  for (const it of timers) yield TimerMessage.create(it);
}

/** What a timer counts with such a command. */
export function costOf(command: Uint8Array): number {
  return TIMER_BYTES + command.length;
}
