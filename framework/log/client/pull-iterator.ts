/** Where a {@link PullIterator} gets its items. */
export interface PullSource<T> {
  /** The next items, at least one; `undefined` at the end. */
  refill(): Promise<readonly T[] | undefined>;
  /** The consumer has dealt with an item: it came back for the next one. */
  settled(item: T): void;
  /** The consumer left. */
  close(): void;
  /** Whether it was closed: what was not handed out yet is not wanted any more. */
  isClosed(): boolean;
}

/**
 * Iterates over what comes in batches. Written by hand because an async generator costs several times as
 * much for each item. Leaving the loop closes the source.
 */
export class PullIterator<T> implements AsyncIterableIterator<T> {
  private readonly source: PullSource<T>;
  private items: readonly T[] = [];
  private index = 0;
  private out: { item: T } | undefined;
  private refilling: Promise<unknown> | undefined;
  private isDone = false;

  constructor(source: PullSource<T>) {
    this.source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.refilling !== undefined) {
      const again = (): Promise<IteratorResult<T>> => this.next();
      return this.refilling.then(again, again);
    }
    this.settle();
    if (this.isDone) return Promise.resolve({ done: true, value: undefined });
    const isWanted = this.index < this.items.length && !this.source.isClosed();
    if (isWanted) return Promise.resolve(this.hand());
    const refilled = this.refill();
    this.refilling = refilled.finally(() => {
      this.refilling = undefined;
    });
    // Whoever waits for it as well calls `next` again.
    this.refilling.catch(() => {});
    return refilled;
  }

  return(): Promise<IteratorResult<T>> {
    this.isDone = true;
    this.items = [];
    this.out = undefined;
    this.source.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  private async refill(): Promise<IteratorResult<T>> {
    try {
      const items = await this.source.refill();
      if (items !== undefined && !this.isDone) {
        this.items = items;
        this.index = 0;
        return this.hand();
      }
      this.isDone = true;
      return { done: true, value: undefined };
    } catch (error) {
      this.isDone = true;
      throw error;
    }
  }

  private hand(): IteratorResult<T> {
    const value = this.items[this.index++]!;
    this.out = { item: value };
    return { done: false, value };
  }

  private settle(): void {
    const { out } = this;
    if (out === undefined) return;
    this.out = undefined;
    this.source.settled(out.item);
  }
}
