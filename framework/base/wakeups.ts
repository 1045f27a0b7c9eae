import { onAbort } from './on-abort.ts';

/** Those that wait for anything to change: each waits once and is woken once, and looks for itself then. */
export class Wakeups {
  private waiting = new Set<() => void>();
  private readonly onWait: () => void;

  /** `onWait` is called whenever somebody begins to wait. Default: nothing is. */
  constructor(onWait: () => void = () => {}) {
    this.onWait = onWait;
  }

  /** Resolves at the next `wake`, or when `signal` is aborted. */
  wait(signal?: AbortSignal): Promise<void> {
    if (signal === undefined) {
      this.onWait();
      return new Promise((resolve) => {
        this.waiting.add(resolve);
      });
    }
    if (signal.aborted) return Promise.resolve();
    this.onWait();
    return new Promise((resolve) => {
      const done = (): void => {
        forget();
        this.waiting.delete(done);
        resolve();
      };
      const forget = onAbort(signal, done);
      this.waiting.add(done);
    });
  }

  /** Whether anybody waits. */
  get isAwaited(): boolean {
    return this.waiting.size > 0;
  }

  wake(): void {
    if (this.waiting.size === 0) return;
    const { waiting } = this;
    this.waiting = new Set();
    for (const done of waiting) done();
  }
}
