import { onAbort } from './on-abort.ts';

/**
 * A promise that somebody else settles, once: with a value, with an error, or by the abort of the caller's signal. What
 * is told to it after that is ignored.
 */
export class Waiter<Value = void> {
  readonly promise: Promise<Value>;
  private readonly onSettled: (() => void) | undefined;
  private fulfil!: (value: Value) => void;
  private refuse!: (error: unknown) => void;
  private forget: (() => void) | undefined;
  private isSettled = false;

  /** Rejects with the reason of `signal` once that is aborted. `onSettled` is called right before it settles. */
  constructor(signal?: AbortSignal, onSettled?: () => void) {
    this.onSettled = onSettled;
    this.promise = new Promise((resolve, reject) => {
      this.fulfil = resolve;
      this.refuse = reject;
    });
    if (signal !== undefined) this.forget = onAbort(signal, () => this.reject(signal.reason));
  }

  get settled(): boolean {
    return this.isSettled;
  }

  resolve(value: Value): void {
    if (this.settle()) this.fulfil(value);
  }

  reject(error: unknown): void {
    if (this.settle()) this.refuse(error);
  }

  private settle(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    this.forget?.();
    this.onSettled?.();
    return true;
  }
}
