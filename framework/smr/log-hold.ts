import { Backoff, type OrderedLog, type Ports } from '../base/index.ts';

const CALL_MS = 5_000;
const BACKOFF_MS = { first: 500, most: 30_000 };

export interface LogHoldParts extends Pick<Ports, 'clock' | 'random'> {
  /** Aborted when the replica ends. What it holds stays: it may come back. */
  readonly signal: AbortSignal;
  /** Name of the machine. */
  readonly machine: string;
  /** Which place the state lies in: by that its hold is known again after a restart. `fresh` for a new one. */
  readonly place: ((fresh: string) => Promise<string>) | undefined;
  /** `error` changed. */
  readonly changed: () => void;
  /** What is up to `position` is not held any more. */
  readonly held: (position: number) => void;
}

/**
 * Keeps a log from being trimmed above what a replica would start from. Without it the replica runs as well, so
 * nothing waits for it but the start, and that not for long: what cannot be written is tried again, ever less often.
 */
export class LogHold {
  private readonly parts: LogHoldParts;
  private readonly hold: (position: number) => Promise<void>;
  private wanted = 0;
  private current: number | undefined;
  private working = false;
  private work: Promise<unknown> = Promise.resolve();
  /** Why the last attempt failed. */
  error: unknown;

  private constructor(parts: LogHoldParts, hold: (position: number) => Promise<void>) {
    this.parts = parts;
    this.hold = hold;
  }

  /** `undefined` where the log keeps its head anyway, or the state lies nowhere. */
  static on(log: OrderedLog, parts: LogHoldParts): LogHold | undefined {
    const { hold } = log;
    const { place, machine, random, signal } = parts;
    if (hold === undefined || place === undefined) return undefined;
    let holder: string | undefined;
    return new LogHold(parts, async (position) => {
      holder ??= `machine ${machine} ${await place(random.id())}`;
      await hold.call(log, holder, position, { signal, timeoutMs: CALL_MS });
    });
  }

  /** Holds what is after `position`; resolves after the first attempt. */
  async begin(position: number): Promise<void> {
    this.wanted = position;
    this.work = this.attempt();
    await this.work;
    this.move(position);
  }

  /** What is up to `position` is not needed any more. */
  move(position: number): void {
    this.wanted = position;
    if (this.working) return;
    this.working = true;
    this.work = this.settle();
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    await this.work;
  }

  private async settle(): Promise<void> {
    const { clock, random, signal } = this.parts;
    const backoff = new Backoff(random, BACKOFF_MS.first, BACKOFF_MS.most);
    while (!signal.aborted && this.current !== this.wanted) {
      if (await this.attempt()) {
        backoff.reset();
        continue;
      }
      await backoff.pause(clock, signal);
    }
    this.working = false;
  }

  private async attempt(): Promise<boolean> {
    const { wanted, parts } = this;
    const { signal, changed, held } = parts;
    let failure: unknown;
    try {
      await this.hold(wanted);
      this.current = wanted;
    } catch (error) {
      failure = error;
    }
    if (signal.aborted) return false;
    const isNews = failure !== this.error;
    this.error = failure;
    if (isNews) changed();
    if (failure === undefined) held(wanted);
    return failure === undefined;
  }
}
