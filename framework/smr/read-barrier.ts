import {
  type Clock,
  type LogCallOptions,
  type OrderedLog,
  SequenceMap,
  sleep,
  VarlogError,
} from '../base/index.ts';
import type { Deadlines } from './deadlines.ts';
import { beyondTail } from './log-identity.ts';
import type { Contact } from './replica-status.ts';

const RETRY_MS = 20;
const TAIL_TIMEOUT_MS = 5_000;

interface Waiter {
  /** `undefined` until the log has said how far it goes. */
  position: number | undefined;
  readonly settle: (error?: unknown) => void;
}

/** Holds queries back until the replica has applied what they must see. One `tail` serves all that wait. */
export class ReadBarrier {
  private readonly log: OrderedLog;
  private readonly clock: Clock;
  private readonly deadlines: Deadlines;
  private readonly contact: Contact;
  private readonly behind: (error: VarlogError) => void;
  private readonly closing = new AbortController();
  private readonly waiters = new SequenceMap<Waiter>();
  private asking = false;
  private applied = 0;
  /** Position of the stored state that this replica began with. */
  private begun = 0;
  private stopped: unknown;

  /** `behind` is told when the log turns out to end before the state that this replica began with. */
  constructor(
    log: OrderedLog,
    clock: Clock,
    deadlines: Deadlines,
    contact: Contact,
    behind: (error: VarlogError) => void,
  ) {
    this.log = log;
    this.deadlines = deadlines;
    this.contact = contact;
    this.clock = clock;
    this.behind = behind;
  }

  /** A stored state stands for all up to `position`: a log that ends before it is not the one. */
  begin(position: number): void {
    this.begun = position;
  }

  /** Resolves when all that was acknowledged before this call is applied. */
  latest(options: LogCallOptions): Promise<void> {
    const waiting = this.wait(undefined, options);
    this.ask();
    return waiting;
  }

  /** Throws where the replica has ended. */
  check(): void {
    if (this.stopped !== undefined) throw this.stopped;
  }

  reached(position: number, options: LogCallOptions): Promise<void> {
    if (position <= this.applied && this.stopped === undefined) return Promise.resolve();
    return this.wait(position, options);
  }

  advance(applied: number): void {
    this.applied = applied;
    for (const waiter of this.waiters.values()) {
      if (waiter.position !== undefined && waiter.position <= applied) waiter.settle();
    }
  }

  stop(error: unknown): void {
    this.stopped = error;
    this.closing.abort(error);
    for (const waiter of this.waiters.values()) waiter.settle(error);
  }

  private wait(position: number | undefined, { signal, timeoutMs }: LogCallOptions): Promise<void> {
    if (this.stopped !== undefined) return Promise.reject(this.stopped);
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const abort = (): void => waiter.settle(signal?.reason);
      const waiter: Waiter = {
        position,
        settle: (error) => {
          this.waiters.delete(key);
          callOff();
          signal?.removeEventListener('abort', abort);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      const key = this.waiters.add(waiter);
      signal?.addEventListener('abort', abort, { once: true });
      const callOff = this.deadlines.limit(timeoutMs, (ms) => waiter.settle(tooLate(ms)));
    });
  }

  private ask(): void {
    if (this.asking) return;
    this.asking = true;
    this.clock.defer(() => {
      void this.askAll().finally(() => {
        this.asking = false;
        if (this.stopped === undefined && this.unanswered().length > 0) this.ask();
      });
    });
  }

  private async askAll(): Promise<void> {
    // Whoever comes while the log is asked may have seen a later acknowledgement: the next round is theirs.
    const asked = this.unanswered();
    try {
      const { signal } = this.closing;
      const tail = await this.log.tail({ signal, timeoutMs: TAIL_TIMEOUT_MS });
      this.contact.heard();
      if (tail < this.begun) {
        this.behind(beyondTail(this.begun, tail));
        return;
      }
      for (const waiter of asked) waiter.position = tail;
      this.advance(this.applied);
    } catch (error) {
      if (this.stopped !== undefined) return;
      this.contact.lost(error);
      if (VarlogError.is(error) && error.retryable) {
        await sleep(this.clock, RETRY_MS, this.closing.signal).catch(() => {});
      } else {
        for (const waiter of asked) waiter.settle(error);
      }
    }
  }

  private unanswered(): Waiter[] {
    return [...this.waiters.values()].filter((it) => it.position === undefined);
  }
}

function tooLate(timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `the replica did not catch up within ${timeoutMs} ms`,
    next: 'see whether the log has a quorum, or query with consistency "stale"',
  });
}
