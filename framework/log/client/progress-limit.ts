import { type Clock, reasonOf, type Timer, VarlogError } from '../../base/index.ts';

/** Why a read gets nothing: what its replicas failed with. */
export interface ReadFailure {
  /** When, by the clock. */
  readonly at: number;
  readonly error: unknown;
}

/**
 * How long whoever reads a range waits for its next record while the replicas that should have it fail: for ever, it would
 * not be told why nothing comes. Replicas that do not fail are waited for as long as it takes.
 */
export class ProgressLimit {
  private readonly clock: Clock;
  private readonly limitMs: number;
  /** Newest failure of those that may have the next record. */
  private readonly failure: () => ReadFailure | undefined;
  private readonly end: (failure: ReadFailure) => void;
  private timer: Timer | undefined;

  constructor(
    clock: Clock,
    limitMs: number,
    parts: { failure: () => ReadFailure | undefined; end: (failure: ReadFailure) => void },
  ) {
    this.clock = clock;
    this.limitMs = limitMs;
    this.failure = parts.failure;
    this.end = parts.end;
  }

  /** The reader waits for its next record. */
  begin(): void {
    if (this.timer !== undefined || this.limitMs === Infinity) return;
    const since = this.clock.now();
    this.timer = this.clock.after(this.limitMs, () => {
      this.timer = undefined;
      const failure = this.failure();
      if (failure !== undefined && failure.at >= since) this.end(failure);
      else this.begin();
    });
  }

  /** It has it, or wants it no more. */
  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }
}

/** The error for a range of which `what` is not known after `limitMs`. */
export function notReadInTime(what: string, limitMs: number, cause: unknown): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `${what} within ${limitMs} ms`,
    because: reasonOf(cause),
    next: '"varlog status" shows which replicas serve nothing, and why; read on when one does',
    details: { timeoutMs: limitMs },
    cause,
  });
}
