import { Observable, type OperatorFunction, type Subscriber } from 'rxjs';
import {
  checkFunctions,
  checkNames,
  checkNumber,
  SequenceMap,
  VarlogError,
} from '../../base/index.ts';
import { acquireCurrent, deliverTracked, type InFlight } from './in-flight.ts';
import { HANDLE_NAMES } from './option-names.ts';

/** Values that may wait when their source cannot be made to wait. */
const UNHELD_MAX = 16_384;

export interface HandleOptions<T> {
  /** Values that are worked on at a time. Default 1: one after the other. */
  concurrency?: number;
  /** With `concurrency`: values with equal keys are worked on one after the other, in order. */
  orderBy?: (value: T) => unknown;
}

/**
 * Does something that takes time with each value, with backpressure: the source delivers no more than it may have
 * in flight, and reads no further from the log until there is room. Passes the results on in the order of the values.
 *
 * ```ts
 * topic.tail$({ from: 'start' }).pipe(handle(save, { concurrency: 8, orderBy: (e) => e.logStream }))
 * ```
 *
 * Use it instead of `concatMap` and `mergeMap`, which take everything into memory while they are busy. `switchMap`
 * and `exhaustMap` leave out records: on a log that is nearly always a mistake. Operators that deliver later
 * (`delay`, `observeOn`, `bufferTime`) belong after it: before it, they hide from the source that somebody is
 * still busy. If more than 16,384 values pile up that way, it errors with `RESOURCE_EXHAUSTED`.
 *
 * When `work` or `orderBy` throws or rejects, the stream errors with that and is unsubscribed; results of values before it that
 * are done were passed on. `signal` is aborted when nobody wants the result any more.
 */
export function handle<T, R>(
  work: (value: T, context: { signal: AbortSignal }) => R | Promise<R>,
  options: HandleOptions<T> = {},
): OperatorFunction<T, R> {
  checkNames(options, HANDLE_NAMES, 'handle');
  const { concurrency = 1, orderBy } = options;
  checkFunctions({ work, ...(orderBy !== undefined && { orderBy }) });
  checkNumber(concurrency, 'concurrency', 1);
  return (source) =>
    new Observable<R>((subscriber) => {
      const run = new HandleRun<T, R>(work, { ...options, concurrency }, subscriber);
      subscriber.add(() => run.stop());
      subscriber.add(
        source.subscribe({
          next: (value) => run.add(value),
          error: (error) => subscriber.error(error),
          complete: () => run.complete(),
        }),
      );
    });
}

interface Task<T, R> {
  readonly value: T;
  readonly key: unknown;
  readonly inFlight: InFlight | undefined;
  result?: { value: R };
}

class HandleRun<T, R> {
  private readonly work: (value: T, context: { signal: AbortSignal }) => R | Promise<R>;
  private readonly options: HandleOptions<T> & { concurrency: number };
  private readonly subscriber: Subscriber<R>;
  private readonly stopping = new AbortController();
  private readonly busyKeys = new Set<unknown>();
  /** Not begun, in order. */
  private readonly waiting = new SequenceMap<Task<T, R>>();
  /** Begun or done but not passed on, in the order of the values. */
  private readonly unsent = new SequenceMap<Task<T, R>>();
  private running = 0;
  private isComplete = false;

  constructor(
    work: (value: T, context: { signal: AbortSignal }) => R | Promise<R>,
    options: HandleOptions<T> & { concurrency: number },
    subscriber: Subscriber<R>,
  ) {
    this.work = work;
    this.options = options;
    this.subscriber = subscriber;
  }

  add(value: T): void {
    let key: unknown;
    try {
      key = this.options.orderBy?.(value);
    } catch (error) {
      this.subscriber.error(error);
      return;
    }
    const inFlight = acquireCurrent();
    const task: Task<T, R> = { value, key, inFlight };
    this.waiting.add(task);
    this.unsent.add(task);
    if (inFlight === undefined && this.waiting.size > UNHELD_MAX) {
      this.subscriber.error(outrun());
      return;
    }
    this.begin();
  }

  complete(): void {
    this.isComplete = true;
    this.send();
  }

  /** Gives back what is held. */
  stop(): void {
    this.stopping.abort();
    const unsent = [...this.unsent.values()];
    this.unsent.clear();
    this.waiting.clear();
    for (const { inFlight } of unsent) inFlight?.release();
  }

  private begin(): void {
    const { concurrency, orderBy } = this.options;
    for (const [ticket, task] of this.waiting) {
      if (this.running >= concurrency) return;
      if (orderBy !== undefined) {
        if (this.busyKeys.has(task.key)) continue;
        this.busyKeys.add(task.key);
      }
      this.waiting.delete(ticket);
      this.running++;
      this.attempt(task).then(
        (value) => this.ended(task, value),
        (error: unknown) => this.subscriber.error(error),
      );
    }
  }

  private async attempt({ value }: Task<T, R>): Promise<R> {
    return this.work(value, { signal: this.stopping.signal });
  }

  private ended(task: Task<T, R>, value: R): void {
    this.running--;
    if (this.stopping.signal.aborted) return;
    this.busyKeys.delete(task.key);
    task.result = { value };
    this.send();
    this.begin();
  }

  private send(): void {
    for (const [ticket, task] of this.unsent) {
      const { result, inFlight } = task;
      if (result === undefined) break;
      this.unsent.delete(ticket);
      deliverTracked(inFlight, () => this.subscriber.next(result.value));
      inFlight?.release();
    }
    if (this.isComplete && this.unsent.size === 0) this.subscriber.complete();
  }
}

function outrun(): VarlogError {
  return new VarlogError('RESOURCE_EXHAUSTED', {
    what: `more than ${UNHELD_MAX} values wait in handle()`,
    because: 'an operator before it delivers later, so that the source cannot be made to wait',
    next: 'put handle() before delay, observeOn, concatMap and the like',
  });
}
