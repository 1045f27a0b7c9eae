import { BehaviorSubject, type Observable } from 'rxjs';
import { type Clock, VarlogError, Waiters } from '../base/index.ts';
import { type CallLimits, checkCall, withinLimits } from '../log/client/call-limit.ts';
import type { EntrySubscription } from '../log/client/entry-observable.ts';
import type { Entry } from '../log/client/index.ts';
import { PullIterator } from '../log/client/pull-iterator.ts';
import type { SubscriptionStatus } from '../log/client/status.ts';

/** A log in memory, as one pass through it sees it. */
interface Pass<T> {
  readonly clock: Clock;
  /** Position of its last record. */
  last(): number;
  /** Everything, without an end. `begun` is told of the first position before anything comes. */
  entries(signal: AbortSignal, begun: (at: number) => void): AsyncIterator<Entry<T>>;
}

/** One pass through a log in memory, as a `Subscription` is one through a topic. */
export class MemorySubscription<T> implements EntrySubscription<T> {
  readonly status$: Observable<SubscriptionStatus>;
  private readonly statuses = new BehaviorSubject<SubscriptionStatus>({ state: 'connecting' });
  private readonly pass: Pass<T>;
  private readonly ending = new AbortController();
  private readonly waiters = new Waiters<number>();
  private entries: AsyncIterator<Entry<T>> | undefined;
  /** Everything up to here was dealt with. */
  private settledTo = -1;
  /** It is live once it has delivered this position. */
  private liveAt = 0;

  constructor(pass: Pass<T>) {
    this.pass = pass;
    this.status$ = this.statuses.asObservable();
  }

  get isClosed(): boolean {
    return this.ending.signal.aborted;
  }

  claim(): void {
    if (this.entries !== undefined) {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: 'this subscription is being iterated already, or was',
        next: 'call tail$() again for another pass',
      });
    }
    this.entries = this.pass.entries(this.ending.signal, (at) => this.begun(at));
  }

  [Symbol.asyncIterator](): AsyncIterator<Entry<T>> {
    this.claim();
    return new PullIterator<Entry<T>>({
      refill: () => this.takeEntries(),
      settled: ({ glsn }) => this.settle(glsn),
      close: () => this.close(),
      isClosed: () => this.isClosed,
    });
  }

  async takeEntries(): Promise<Entry<T>[] | undefined> {
    try {
      const next = await this.entries!.next();
      if (next.done === true) {
        this.close();
        return undefined;
      }
      this.delivering(next.value.glsn);
      return [next.value];
    } catch (error) {
      this.end({ state: 'closed', error }, error);
      throw error;
    }
  }

  settle(position: number): void {
    this.settledTo = Math.max(this.settledTo, position);
    this.waiters.resolve((it) => it <= this.settledTo);
  }

  async caughtUp(limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'caughtUp');
    const through = this.pass.last();
    if (this.settledTo >= through) return;
    const options = { what: 'catching up', timeoutMs: Number.POSITIVE_INFINITY, ...limits };
    await withinLimits(this.pass.clock, options, ({ signal }) =>
      this.waiters.wait(through, { signal }),
    );
  }

  close(): void {
    const what = 'the subscription was closed before it had caught up';
    this.end({ state: 'closed' }, new VarlogError('CLOSED', { what, next: 'subscribe again' }));
  }

  private begun(at: number): void {
    this.liveAt = this.pass.last();
    const { liveAt: tail } = this;
    const position = at - 1;
    this.statuses.next(
      position < tail ? { state: 'catchingUp', position, tail } : { state: 'live', position },
    );
    this.settle(position);
  }

  private delivering(position: number): void {
    const { state } = this.statuses.value;
    if (state === 'catchingUp' && position >= this.liveAt) {
      this.statuses.next({ state: 'live', position });
    }
  }

  private end(status: SubscriptionStatus, error: unknown): void {
    if (this.isClosed) return;
    this.ending.abort();
    this.statuses.next(status);
    this.statuses.complete();
    this.waiters.stop(error);
  }
}
