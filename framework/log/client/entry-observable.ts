import { Observable, ReplaySubject, type Subscriber } from 'rxjs';
import { checkCount, VarlogError } from '../../base/index.ts';
import { type CallLimits, checkCall } from './call-limit.ts';
import type { Entry } from './entry.ts';
import { deliverTracked, type InFlight, type InFlightSource } from './in-flight.ts';
import type { SubscriptionStatus } from './status.ts';
import type { Subscription } from './subscription.ts';

/** What an {@link EntryObservable} shows: one pass through a log, a {@link Subscription} or what stands for one in tests. */
export type EntrySubscription<T> = AsyncIterable<Entry<T>> &
  Pick<
    Subscription<T>,
    'status$' | 'isClosed' | 'claim' | 'takeEntries' | 'settle' | 'close' | 'caughtUp'
  >;

const IN_FLIGHT_MAX = 1_024;
const IN_FLIGHT_BYTES_MAX = 8 * 1024 * 1024;

export interface FlowLimits {
  /** Records that operators like `handle` may be working on at a time. Default 1,024. */
  maxInFlight?: number;
  /** The same in bytes. Default 8 MiB. */
  maxInFlightBytes?: number;
}

/**
 * A topic as an Observable of its records. Cold: each `subscribe` opens a subscription of its own. It delivers
 * synchronously and waits while as many records as allowed are being worked on by operators that
 * say so, such as `handle`. Behind `concatMap`, `mergeMap`, `delay` and the like it cannot wait: they take all there
 * is into memory.
 *
 * It can be iterated with `for await` as well; then nothing runs ahead.
 */
export class EntryObservable<T = Uint8Array>
  extends Observable<Entry<T>>
  implements AsyncIterable<Entry<T>>
{
  /** What the newest subscription is doing; what it did last, when it has ended. */
  readonly status$: Observable<SubscriptionStatus>;
  private readonly open: () => EntrySubscription<T>;
  private newest: EntrySubscription<T> | undefined;

  constructor(open: () => EntrySubscription<T>, limits: FlowLimits) {
    const statuses = new ReplaySubject<SubscriptionStatus>(1);
    super((subscriber) => {
      const subscription = open();
      this.newest = subscription;
      const following = subscription.status$.subscribe((it) => statuses.next(it));
      subscriber.add(() => {
        subscription.close();
        following.unsubscribe();
      });
      pump(subscription, subscriber, limits).catch((error: unknown) => subscriber.error(error));
    });
    checkCount(limits.maxInFlight, 'maxInFlight');
    checkCount(limits.maxInFlightBytes, 'maxInFlightBytes');
    this.open = open;
    this.status$ = statuses.asObservable();
  }

  /**
   * Resolves when everything that was acknowledged before this call was delivered, and handled by operators that
   * hold records. Of the newest subscription: rejects with `FAILED_PRECONDITION` while there is none.
   */
  async caughtUp(limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'caughtUp');
    if (this.newest !== undefined) return this.newest.caughtUp(limits);
    throw new VarlogError('FAILED_PRECONDITION', {
      what: 'nobody has subscribed, so nothing is delivered',
      next: 'subscribe first',
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<Entry<T>> {
    return this.open()[Symbol.asyncIterator]();
  }
}

async function pump<T>(
  subscription: EntrySubscription<T>,
  subscriber: Subscriber<Entry<T>>,
  limits: FlowLimits,
): Promise<void> {
  subscription.claim();
  const window = new InFlightWindow(subscription, subscriber, limits);
  for (;;) {
    const entries = await subscription.takeEntries();
    if (entries === undefined) break;
    for (const entry of entries) {
      if (subscriber.closed) return;
      if (subscription.isClosed) break;
      window.deliver(entry);
      if (window.isFull) await window.room();
    }
  }
  subscriber.complete();
}

/** Delivers records and knows which of them are still being worked on. Costs nothing for those that are not. */
class InFlightWindow<T> implements InFlightSource {
  private readonly subscription: EntrySubscription<T>;
  private readonly subscriber: Subscriber<Entry<T>>;
  private readonly countMax: number;
  private readonly bytesMax: number;
  /** In order; those at the head are held. */
  private inFlight: InFlightEntry[] = [];
  private head = 0;
  private inFlightCount = 0;
  private inFlightBytes = 0;
  private delivering: Entry<T> | undefined;
  private delivered = 0;
  private wake: (() => void) | undefined;

  constructor(
    subscription: EntrySubscription<T>,
    subscriber: Subscriber<Entry<T>>,
    limits: FlowLimits,
  ) {
    this.subscription = subscription;
    this.subscriber = subscriber;
    this.countMax = limits.maxInFlight ?? IN_FLIGHT_MAX;
    this.bytesMax = limits.maxInFlightBytes ?? IN_FLIGHT_BYTES_MAX;
    subscriber.add(() => this.wake?.());
  }

  get isFull(): boolean {
    return this.inFlightCount >= this.countMax || this.inFlightBytes >= this.bytesMax;
  }

  deliver(entry: Entry<T>): void {
    this.delivering = entry;
    deliverTracked(this, () => this.subscriber.next(entry));
    this.delivering = undefined;
    this.delivered = entry.glsn;
    if (this.head === this.inFlight.length) this.subscription.settle(entry.glsn);
  }

  /** Room again, or nobody to deliver to. */
  room(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  acquire(): InFlight {
    const entry = this.delivering!;
    const newest = this.inFlight.at(-1);
    if (newest?.entry === entry && newest.holders > 0) return newest.acquire();
    const inFlight = new InFlightEntry(entry, (it) => this.released(it));
    this.inFlight.push(inFlight);
    this.inFlightCount++;
    this.inFlightBytes += entry.size;
    return inFlight;
  }

  private released(inFlight: InFlightEntry): void {
    this.inFlightCount--;
    this.inFlightBytes -= inFlight.entry.size;
    while (this.head < this.inFlight.length && this.inFlight[this.head]!.holders === 0) this.head++;
    const oldest = this.inFlight[this.head];
    if (oldest === undefined || this.head >= 1_024) {
      this.inFlight = this.inFlight.slice(this.head);
      this.head = 0;
    }
    // One that was released while it is being delivered is not done before the delivery has returned.
    this.subscription.settle(oldest === undefined ? this.delivered : oldest.entry.glsn - 1);
    if (this.isFull) return;
    const { wake } = this;
    this.wake = undefined;
    wake?.();
  }
}

class InFlightEntry implements InFlight {
  readonly entry: Entry<unknown>;
  holders = 1;
  private readonly released: (inFlight: InFlightEntry) => void;

  constructor(entry: Entry<unknown>, released: (inFlight: InFlightEntry) => void) {
    this.entry = entry;
    this.released = released;
  }

  acquire(): this {
    this.holders++;
    return this;
  }

  release(): void {
    this.holders--;
    if (this.holders === 0) this.released(this);
  }
}
