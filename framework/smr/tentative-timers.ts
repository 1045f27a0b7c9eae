import type { ContextTimers } from './log-context.ts';
import type { Timer } from './timer-queue.ts';
import { costOf, type TimerTable } from './timer-table.ts';

/**
 * The timers of a machine as they are once commands have taken effect that are still under way. None of them is ever due, and
 * the machine's own are left as they are.
 */
export class TentativeTimers implements ContextTimers {
  private readonly timers: TimerTable;
  private readonly added = new Map<number, Timer>();
  private readonly cancelled = new Set<number>();
  private newest: number;
  private room: number;

  constructor(timers: TimerTable) {
    this.timers = timers;
    this.newest = timers.made;
    this.room = timers.room;
  }

  schedule(at: number, command: Uint8Array): number | undefined {
    const cost = costOf(command);
    if (cost > this.room) return undefined;
    this.room -= cost;
    const id = ++this.newest;
    this.added.set(id, { id, at, command });
    return id;
  }

  cancel(id: number): Timer | undefined {
    // What was added here is among the machine's own once its command has been applied: it is cancelled once all the same.
    const timer = this.added.get(id) ?? this.timers.get(id);
    if (timer === undefined || this.cancelled.has(id)) return undefined;
    this.cancelled.add(id);
    this.room += costOf(timer.command);
    return timer;
  }

  unschedule(id: number): void {
    this.cancel(id);
    this.newest = id - 1;
  }

  put(timer: Timer): void {
    this.cancelled.delete(timer.id);
    this.room -= costOf(timer.command);
  }
}
