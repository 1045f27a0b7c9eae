import type { OrderedLog, Trimmed } from '../base/index.ts';

const CALL_MS = 5_000;

/** How far a replica had its log trimmed behind its own snapshots, and who held it back. */
export interface LogTrimmed extends Trimmed {
  /** Why the last attempt failed. It is tried again behind the next snapshot. */
  readonly error?: unknown;
}

/**
 * Has a log trimmed behind the snapshots of its replicas. Each replica asks for it when its own hold has moved, up to
 * there; the log goes no further than all that hold it let it. So the one that lags most gets it trimmed in the end, and
 * it does no harm when two ask at once, or one too often.
 */
export class LogTrim {
  private readonly trim: (position: number) => Promise<Trimmed>;
  private readonly signal: AbortSignal;
  private readonly changed: (trimmed: LogTrimmed) => void;
  private wanted = 0;
  private isWorking = false;
  private trimmed: LogTrimmed = { position: 0 };

  private constructor(
    trim: (position: number) => Promise<Trimmed>,
    signal: AbortSignal,
    changed: (trimmed: LogTrimmed) => void,
  ) {
    this.trim = trim;
    this.signal = signal;
    this.changed = changed;
  }

  /** `undefined` where the log cannot be trimmed. `signal`: aborted when the replica ends. */
  static on(
    log: OrderedLog,
    signal: AbortSignal,
    changed: (trimmed: LogTrimmed) => void,
  ): LogTrim | undefined {
    const { trim } = log;
    if (trim === undefined) return undefined;
    const limits = { signal, timeoutMs: CALL_MS };
    return new LogTrim((position) => trim.call(log, position, limits), signal, changed);
  }

  /** This replica needs nothing up to `position`. */
  behind(position: number): void {
    this.wanted = Math.max(this.wanted, position);
    if (this.isWorking || this.wanted === 0) return;
    this.isWorking = true;
    void this.work();
  }

  private async work(): Promise<void> {
    for (let done = 0; done < this.wanted && !this.signal.aborted; ) {
      done = this.wanted;
      try {
        this.trimmed = await this.trim(done);
      } catch (error) {
        this.trimmed = { ...this.trimmed, error };
      }
      if (!this.signal.aborted) this.changed(this.trimmed);
    }
    this.isWorking = false;
  }
}
