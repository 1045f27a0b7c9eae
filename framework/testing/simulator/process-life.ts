import type { Scheduler } from './scheduler.ts';

/**
 * One life of a process. Whatever is to happen to it later (a timer, a disk's answer, a message) is
 * bound to it: nothing happens to it any more once it is dead, and all of it waits, in order, while
 * it is paused.
 */
export class ProcessLife {
  readonly host: string;
  dead = false;
  private readonly scheduler: Scheduler;
  private paused = false;
  private readonly deferred: (() => void)[] = [];

  constructor(host: string, scheduler: Scheduler) {
    this.host = host;
    this.scheduler = scheduler;
  }

  /** Runs it now, later or never. */
  run(work: () => void): void {
    if (this.dead) return;
    if (this.paused || this.deferred.length > 0) this.deferred.push(work);
    else work();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.scheduler.after(0, () => this.catchUp());
  }

  end(): void {
    this.dead = true;
    this.deferred.length = 0;
  }

  private catchUp(): void {
    if (this.dead || this.paused) return;
    this.deferred.shift()?.();
    if (this.deferred.length > 0) this.scheduler.after(0, () => this.catchUp());
  }
}
