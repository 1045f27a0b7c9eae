import { type Clock, type Disk, type Timer, VarlogError, Wakeups } from '../base/index.ts';
import { full } from './log-errors.ts';

/** A full disk is tried again after so long. */
const RETRY_MS = 500;

/** What a log does while there is no room on its disk: it tells, and tries again from time to time. */
export class FullDisk {
  /** What to refuse appends with, while there is no room. */
  error: VarlogError | undefined;
  private readonly options: {
    readonly disk: Pick<Disk, 'pathOf'>;
    readonly directory: string;
    readonly label: string;
    readonly clock?: Clock;
    readonly onFull?: (error: VarlogError | undefined) => void;
  };
  /** Called when nothing waits and it is time to see whether there is room. */
  private readonly probe: () => void;
  private timer: Timer | undefined;
  private goOn: (() => void) | undefined;
  private readonly changes = new Wakeups();
  private stopped = false;

  constructor(options: FullDisk['options'], probe: () => void) {
    this.options = options;
    this.probe = probe;
  }

  /** Whether what failed like this may wait for room: nothing that was written before is in doubt. */
  mayWaitAfter(error: unknown): error is VarlogError {
    const waits = this.options.clock !== undefined && !this.stopped;
    return waits && VarlogError.is(error, 'DISK_FULL');
  }

  /** Whether something waits for room. */
  get isAwaited(): boolean {
    return this.goOn !== undefined;
  }

  /** There is no room, for this cause; or there is some. */
  note(cause: VarlogError | undefined): void {
    const { options } = this;
    if ((cause === undefined) !== (this.error === undefined)) {
      this.error = cause && full(options, cause);
      this.changes.wake();
      options.onFull?.(this.error);
    }
    if (cause === undefined || this.stopped) return;
    this.timer ??= options.clock?.after(RETRY_MS, () => {
      this.timer = undefined;
      if (!this.retry()) this.probe();
    });
  }

  /** Resolves as soon as there is no room, or when `signal` is aborted. */
  async filled(signal: AbortSignal): Promise<void> {
    while (this.error === undefined && !signal.aborted) await this.changes.wait(signal);
  }

  /** Resolves when it is worth another try. */
  async room(cause: VarlogError): Promise<void> {
    this.note(cause);
    await new Promise<void>((resolve) => {
      this.goOn = resolve;
    });
    this.goOn = undefined;
  }

  /** Has what waits try again. Returns whether anything does. */
  retry(): boolean {
    this.goOn?.();
    return this.goOn !== undefined;
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }
}

/** Waits until `done` has settled; not on a full disk, also one that fills up meanwhile, where that may take for ever. */
export async function unlessFull(
  log: { filled(signal: AbortSignal): Promise<void> },
  done: Promise<unknown>,
): Promise<void> {
  const over = new AbortController();
  await Promise.race([done.catch(() => {}), log.filled(over.signal)]);
  over.abort();
}
