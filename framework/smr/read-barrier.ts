import {
  type Clock,
  checkLimits,
  type LogCallOptions,
  type OrderedLog,
  sleep,
  VarlogError,
  Waiters,
} from '../base/index.ts';
import type { Deadlines } from './deadlines.ts';
import { beyondTail } from './log-identity.ts';
import type { LogAvailability } from './replica-status.ts';

const RETRY_MS = 20;
const TAIL_TIMEOUT_MS = 5_000;

interface Want {
  /** `undefined` until the log has said how far it goes. */
  position: number | undefined;
  /** When the log was asked, by the monotonic clock; `undefined` where it was not, or not yet. */
  askedAt: number | undefined;
}

/** Holds queries back until the replica has applied what they must see. One `tail` serves all that wait. */
export class ReadBarrier {
  private readonly log: OrderedLog;
  private readonly clock: Clock;
  private readonly deadlines: Deadlines;
  private readonly availability: LogAvailability;
  private readonly onShortLog: (error: VarlogError) => void;
  private readonly closing = new AbortController();
  private readonly waiters = new Waiters<Want>();
  /** Those whose position the log has not been asked for yet. Who gave up stays among them until it is. */
  private unasked: Want[] = [];
  private asking = false;
  private applied = 0;
  /** All that was acknowledged to anyone before this moment of the monotonic clock is applied. */
  private freshAt = Number.NEGATIVE_INFINITY;
  /** Position of the stored state that this replica began with. */
  private begun = 0;
  private stopped: unknown;

  /** `onShortLog` is called when the log turns out to end before the state that this replica began with. */
  constructor(
    log: OrderedLog,
    clock: Clock,
    deadlines: Deadlines,
    availability: LogAvailability,
    onShortLog: (error: VarlogError) => void,
  ) {
    this.log = log;
    this.deadlines = deadlines;
    this.availability = availability;
    this.clock = clock;
    this.onShortLog = onShortLog;
  }

  /** A stored state stands for all up to `position`: a log that ends before it is not the one. */
  begin(position: number): void {
    this.begun = position;
  }

  /** Resolves when all that was acknowledged before this call is applied. */
  latest(options: LogCallOptions): Promise<void> {
    const want: Want = { position: undefined, askedAt: undefined };
    const waiting = this.wait(want, options, tooLate);
    if (this.stopped === undefined) {
      this.unasked.push(want);
      this.ask();
    }
    return waiting;
  }

  /**
   * Resolves when all is applied that was acknowledged so many milliseconds ago. Asks the log only where that is not known
   * already: a replica that does not reach it cannot know, however little is written.
   */
  within(maxStalenessMs: number, options: LogCallOptions): Promise<void> {
    if (!(maxStalenessMs >= 0)) return Promise.reject(noLimit('maxStalenessMs', maxStalenessMs));
    const isKnown = this.freshAt >= this.clock.now() - maxStalenessMs;
    return isKnown && this.stopped === undefined ? Promise.resolve() : this.latest(options);
  }

  /** Throws where the replica has ended. */
  check(): void {
    if (this.stopped !== undefined) throw this.stopped;
  }

  /** Resolves when there is a state; throws where the replica has ended. */
  whole(options: LogCallOptions): Promise<void> | void {
    this.check();
    if (this.applied >= 0) return undefined;
    return this.wait({ position: 0, askedAt: undefined }, options, notWhole);
  }

  /** There is no state until it advances again, and what it has then may be one of long before. */
  retreat(): void {
    this.applied = -1;
    this.freshAt = Number.NEGATIVE_INFINITY;
  }

  reached(position: number, options: LogCallOptions): Promise<void> {
    if (!(position >= 0)) return Promise.reject(noLimit('atLeast', position));
    if (position <= this.applied && this.stopped === undefined) return Promise.resolve();
    const late = (ms: number): VarlogError => notReached(position, Math.max(0, this.applied), ms);
    return this.wait({ position, askedAt: undefined }, options, late);
  }

  advance(applied: number): void {
    this.applied = applied;
    this.waiters.resolve(({ position, askedAt = this.freshAt }) => {
      if (position === undefined || position > applied) return false;
      this.freshAt = Math.max(this.freshAt, askedAt);
      return true;
    });
  }

  stop(error: unknown): void {
    this.stopped = error;
    this.closing.abort(error);
    this.waiters.stop(error);
  }

  private wait(
    want: Want,
    { signal, timeoutMs }: LogCallOptions,
    late: (timeoutMs: number) => VarlogError,
  ): Promise<void> {
    checkLimits({ signal, timeoutMs });
    const limit = (expire: (error: unknown) => void): (() => void) =>
      this.deadlines.limit(timeoutMs, (ms) => expire(late(ms)));
    return this.waiters.wait(want, { signal, limit });
  }

  private ask(): void {
    if (this.asking) return;
    this.asking = true;
    this.clock.defer(() => {
      void this.askAll().finally(() => {
        this.asking = false;
        if (this.stopped === undefined && this.unasked.length > 0) this.ask();
      });
    });
  }

  private async askAll(): Promise<void> {
    // Whoever comes while the log is asked may have seen a later acknowledgement: the next round is theirs.
    const asked = this.unasked;
    this.unasked = [];
    const askedAt = this.clock.now();
    try {
      const { signal } = this.closing;
      const tail = await this.log.tail({ signal, timeoutMs: TAIL_TIMEOUT_MS });
      this.availability.reachable();
      if (tail < this.begun) {
        this.onShortLog(beyondTail(this.begun, tail));
        return;
      }
      for (const want of asked) Object.assign(want, { position: tail, askedAt });
      this.advance(this.applied);
    } catch (error) {
      if (this.stopped !== undefined) return;
      this.availability.unreachable(error);
      if (VarlogError.is(error) && error.retryable) {
        await sleep(this.clock, RETRY_MS, this.closing.signal).catch(() => {});
        // Only those that still wait: who gives up meanwhile is not to be kept.
        this.unasked = [...this.waiters.wants()].filter((it) => it.position === undefined);
      } else {
        const refused = new Set(asked);
        this.waiters.reject(
          (it) => refused.has(it),
          () => error,
        );
      }
    }
  }
}

function tooLate(timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `the replica could not show within ${timeoutMs} ms that its state is fresh enough`,
    because: 'the log did not say how far it goes, or the replica has not applied that much',
    next: 'see whether the log has a quorum, or query with a larger maxStalenessMs, or "stale"',
  });
}

function notWhole(timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `the replica had no whole state within ${timeoutMs} ms`,
    because: 'a command failed in the middle, and it looks whether the log orders to pass over it',
    next: 'see its status, try again, or ask another replica',
  });
}

function notReached(position: number, applied: number, timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `the replica did not get to position ${position} within ${timeoutMs} ms, and is at ${applied}`,
    next: 'see whether it reaches its log, whether the position is of this log, or query with consistency "stale"',
    details: { position, applied },
  });
}

function noLimit(name: string, value: number): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `a query cannot have ${name} ${value}`,
    next: 'give a number from 0 on',
  });
}
