/**
 * Runs one task after the other, in the order of the calls, each only when the one before has settled. A task
 * that fails holds up nobody: the next one runs all the same. It bounds nothing: whoever fills it does.
 */
export class SerialQueue {
  private last: Promise<unknown> = Promise.resolve();
  private readonly onFailure: (error: unknown) => void;

  /** `onFailure` hears of every task that fails, before the next one begins; it must not throw. */
  constructor(onFailure: (error: unknown) => void = () => {}) {
    this.onFailure = onFailure;
  }

  /** Settles as `task` does. It begins in a later microtask, even when nothing is before it. */
  run<T>(task: () => T | Promise<T>): Promise<T> {
    const done = this.last.then(task);
    this.last = done.catch(this.onFailure);
    return done;
  }

  /** Like {@link run}, for a task whose outcome interests nobody but `onFailure`. */
  post(task: () => unknown): void {
    this.last = this.last.then(task).catch(this.onFailure);
  }

  /** Resolves when all that was asked for before this call has settled. Never rejects. */
  async settled(): Promise<void> {
    await this.last;
  }
}
