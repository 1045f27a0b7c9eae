import type { Clock, Timer } from '../base/index.ts';
import { type HostTimers, hostTimers } from './host-timers.ts';

/** The longest that a timer of Node.js can be set for; it takes anything longer for one millisecond. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * The machine's clock. With `background`, its timers alone do not keep the process alive: right for
 * a library inside somebody's program, wrong for a server.
 */
export function realClock(options: { background?: boolean; timers?: HostTimers } = {}): Clock {
  const { background = false, timers = hostTimers } = options;
  let deferred: (() => void)[] = [];
  const runDeferred = (): void => {
    const ready = deferred;
    deferred = [];
    for (const run of ready) run();
  };
  return {
    now: () => timers.now(),
    wall: () => Date.now(),
    after: (ms, ring) => new RealTimer(ms, ring, { background, timers }),
    defer: (run) => {
      if (deferred.push(run) === 1) timers.setImmediate(runDeferred);
    },
  };
}

class RealTimer implements Timer {
  private readonly ring: () => void;
  private readonly background: boolean;
  private readonly timers: HostTimers;
  private timeout: NodeJS.Timeout;

  constructor(ms: number, ring: () => void, options: { background: boolean; timers: HostTimers }) {
    this.ring = ring;
    this.background = options.background;
    this.timers = options.timers;
    this.timeout = this.set(ms);
  }

  cancel(): void {
    this.timers.clearTimeout(this.timeout);
  }

  private set(ms: number): NodeJS.Timeout {
    const timeout =
      ms <= TIMER_MS_MAX
        ? this.timers.setTimeout(this.ring, Math.ceil(ms))
        : this.timers.setTimeout(() => {
            this.timeout = this.set(ms - TIMER_MS_MAX);
          }, TIMER_MS_MAX);
    return this.background ? timeout.unref() : timeout;
  }
}
