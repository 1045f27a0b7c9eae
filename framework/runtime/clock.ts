import type { Clock, Timer } from '../base/index.ts';

/** The longest that a timer of Node.js can be set for; it takes anything longer for one millisecond. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * The machine's clock. With `background`, its timers alone do not keep the process alive: right for
 * a library inside somebody's program, wrong for a server.
 */
export function realClock(options: { background?: boolean } = {}): Clock {
  let deferred: (() => void)[] = [];
  const runDeferred = (): void => {
    const ready = deferred;
    deferred = [];
    for (const run of ready) run();
  };
  return {
    now: () => performance.now(),
    wall: () => Date.now(),
    after: (ms, ring) => new RealTimer(ms, ring, options.background === true),
    defer: (run) => {
      if (deferred.push(run) === 1) setImmediate(runDeferred);
    },
  };
}

class RealTimer implements Timer {
  private readonly ring: () => void;
  private readonly background: boolean;
  private timeout: NodeJS.Timeout;

  constructor(ms: number, ring: () => void, background: boolean) {
    this.ring = ring;
    this.background = background;
    this.timeout = this.set(ms);
  }

  cancel(): void {
    clearTimeout(this.timeout);
  }

  private set(ms: number): NodeJS.Timeout {
    const timeout =
      ms <= TIMER_MS_MAX
        ? setTimeout(this.ring, Math.ceil(ms))
        : setTimeout(() => {
            this.timeout = this.set(ms - TIMER_MS_MAX);
          }, TIMER_MS_MAX);
    return this.background ? timeout.unref() : timeout;
  }
}
