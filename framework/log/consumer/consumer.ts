import { BehaviorSubject, type Observable } from 'rxjs';
import {
  asVarlogError,
  Backoff,
  checkNames,
  OncePerTurn,
  type OptionNames,
  onAbort,
  reasonOf,
  sleep,
  VarlogError,
  Waiters,
} from '../../base/index.ts';
import { type CallLimits, checkCall, checkTimeout, withinLimits } from '../client/call-limit.ts';
import { type AtTime, isAtTime } from '../client/position-option.ts';
import type { ConsumerBegin } from '../core/index.ts';
import { ConsumerLife } from './consumer-life.ts';
import type { CheckedOptions, RecordHandler } from './consumer-options.ts';
import type { ConsumerSource } from './consumer-source.ts';
import type { ConsumerHealth, ConsumerStatus } from './consumer-status.ts';
import { ConsumerWork, RETRY_MS } from './consumer-work.ts';
import { isLasting } from './record-tries.ts';

const DRAIN_MS = 10_000;
/** Then it says what it waits for, and tries again. */
const SEARCH_MS = 10_000;
/** What the last word to the cluster may take. */
const LAST_SAVE_MS = 2_000;

/** Why a consumer ends. `undefined`: it was closed. */
interface Ending {
  readonly drain: boolean;
  readonly timeoutMs: number;
  readonly error?: VarlogError;
}

/**
 * A handler that is given every record of a topic, and remembers by name how far it is. Made by `topic.process`.
 *
 * Each record is given at least once, from where the checkpoint of its name is; with a checkpoint store that has
 * transactions, it takes effect once. The checkpoint is never beyond a record that is not done, skipped or parked. What
 * is not done is not trimmed without force, also while the consumer is down, until it is removed
 * (`varlog consumer rm`).
 */
export class Consumer implements AsyncDisposable {
  readonly name: string;
  /** What it is doing, beginning with what it does now; completes when it has ended. */
  readonly status$: Observable<ConsumerStatus>;
  /** Resolves when it was closed; rejects with why it stopped. */
  readonly done: Promise<void>;
  private readonly source: ConsumerSource;
  private readonly options: CheckedOptions;
  private readonly handler: RecordHandler<unknown, unknown>;
  private readonly statuses: BehaviorSubject<ConsumerStatus>;
  private readonly changed: OncePerTurn;
  private readonly waiters = new Waiters<number>();
  /** Aborted when no more is begun, nor tried again. */
  private readonly ending = new AbortController();
  /** Aborted when handlers are waited for no more. */
  private readonly givenUp = new AbortController();
  private state: ConsumerStatus['state'] = 'starting';
  private life: ConsumerLife | undefined;
  private work: ConsumerWork | undefined;
  private trouble: unknown;
  private failure: VarlogError | undefined;
  private ended: Promise<void> | undefined;
  private settle: { resolve: () => void; reject: (error: VarlogError) => void };

  /** Made by `topic.process`. */
  constructor(
    source: ConsumerSource,
    options: CheckedOptions,
    handler: RecordHandler<unknown, unknown>,
  ) {
    const begin = source.begin(options.from);
    this.name = options.name;
    this.source = source;
    this.options = options;
    this.handler = handler;
    this.statuses = new BehaviorSubject(this.status);
    this.status$ = this.statuses.asObservable();
    this.changed = new OncePerTurn(source.ports.clock, () => this.report());
    this.settle = { resolve: () => {}, reject: () => {} };
    this.done = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    // Whoever does not look at it learns of it by the status.
    this.done.catch(() => {});
    const forget = onAbort(options.signal, () => void this.close());
    onAbort(this.ending.signal, forget);
    void this.play(begin).catch((error: unknown) => this.stop(asVarlogError(error)));
  }

  /** What it is doing now. */
  get status(): ConsumerStatus {
    const { life, work, failure, trouble } = this;
    const position = work?.watermark.position ?? 0;
    const tail = Math.max(life?.tail ?? 0, position);
    const retrying = work?.tries.retrying;
    return {
      state: this.state,
      epoch: life?.epoch ?? 0,
      position,
      tail,
      lag: tail - position,
      inFlight: work?.watermark.count ?? 0,
      parked: life?.parked ?? 0,
      skipped: work?.skipped ?? 0,
      ...(retrying === undefined ? {} : { retrying }),
      ...(trouble === undefined ? {} : { trouble }),
      ...(failure === undefined ? {} : { error: failure }),
    };
  }

  /** Whether it does what it should: for a readiness probe. */
  health(): ConsumerHealth {
    const { state, error, trouble, retrying } = this.status;
    const bad = (reason: string): ConsumerHealth => ({ ok: false, reason });
    if (error !== undefined) return bad(error.message);
    if (state === 'closed' || state === 'draining') return bad('it was closed');
    if (trouble !== undefined) return bad(`it waits: ${reasonOf(trouble)}`);
    if (state === 'starting') return bad('it is being opened');
    if (retrying !== undefined) {
      const { glsn, attempts, cause } = retrying;
      return bad(`record ${glsn} has failed ${attempts} times: ${reasonOf(cause)}`);
    }
    return { ok: true };
  }

  /**
   * Resolves when everything that was appended before this call is done, skipped or parked. Rejects with why the consumer
   * stopped, or with `CLOSED`.
   */
  async caughtUp(limits: CallLimits = {}): Promise<void> {
    checkCall(limits, 'caughtUp');
    const { ports, registry } = this.source;
    const what = `catching up of consumer "${this.name}"`;
    const lifetime = this.givenUp.signal;
    const plan = { what, timeoutMs: Infinity, ...limits, lifetime };
    await withinLimits(ports.clock, plan, async (own) => {
      // The caller decides how long an outage of the cluster is waited for.
      const { last } = await registry.look(this.name, { ...own, due: true });
      const { work, ended } = this;
      if (work !== undefined && ended === undefined && work.watermark.position >= last) return;
      await this.waiters.wait(last, { signal: own.signal });
    });
  }

  /**
   * Ends it: takes no more records, and with `drain` (default) waits up to `timeoutMs` (default 10,000) for those that
   * have begun; then saves how far it is. What was not done by then is given to the next life. Always resolves. Idempotent.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    checkNames(options, CLOSE_NAMES, 'close');
    const { drain = true, timeoutMs = DRAIN_MS } = options;
    checkTimeout(timeoutMs);
    await this.end({ drain, timeoutMs });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async play(begin: ConsumerBegin | AtTime): Promise<void> {
    const { source, options, handler, waiters } = this;
    const { signal } = this.ending;
    const life = await this.open(begin);
    if (life === undefined) return;
    const work = new ConsumerWork({
      source,
      options,
      life,
      handler,
      waiters,
      ending: signal,
      givenUp: this.givenUp.signal,
      changed: () => this.changed.schedule(),
      hindered: (error) => this.hindered(error),
      stop: (error) => this.stop(error),
    });
    this.life = life;
    this.work = work;
    this.state = 'running';
    this.changed.schedule();
    waiters.resolve((it) => it <= life.begin);
    void this.keepUp(life, work);
    for await (const entry of source.tail(life.begin + 1, signal)) {
      if (signal.aborted) break;
      work.take(entry);
      await work.whenRoom();
    }
    if (!signal.aborted) throw clientClosed(this.name);
  }

  /** Tries until it is open; `undefined` when it is closed meanwhile. */
  private async open(begin: ConsumerBegin | AtTime): Promise<ConsumerLife | undefined> {
    const { source, options } = this;
    const { ports, registry } = source;
    const { signal } = this.ending;
    const owner = ports.random.id();
    let sequence = 0;
    const nextSequence = (): number => ++sequence;
    const parts = { registry, name: this.name, owner, nextSequence, store: options.checkpoint };
    const backoff = new Backoff(ports.random, RETRY_MS.first, RETRY_MS.most);
    while (!signal.aborted) {
      try {
        const behind = isAtTime(begin) ? (await this.since(begin, signal)) - 1 : begin;
        const life = await ConsumerLife.open({ ...parts, begin: behind }, { signal });
        this.trouble = undefined;
        return signal.aborted ? undefined : life;
      } catch (error) {
        if (signal.aborted) return undefined;
        // What there was since a time may have been trimmed after it was found: then something later is the first.
        const isGone = isAtTime(begin) && VarlogError.is(error, 'TRIMMED');
        if (isLasting(error) && !isGone && !isNotAgreed(error)) throw error;
        this.hindered(error);
        await backoff.pause(ports.clock, signal);
      }
    }
    return undefined;
  }

  /** Also where the consumer turns out to be known: whether it is, only its opening says for certain. */
  private since(begin: AtTime, signal: AbortSignal): Promise<number> {
    const what = `looking for where consumer "${this.name}" begins`;
    const limits = { what, timeoutMs: SEARCH_MS, signal };
    return withinLimits(this.source.ports.clock, limits, (limit) =>
      this.source.since(begin, limit.signal),
    );
  }

  /** Says how far it is, and hears what there is to hear: whether it is fenced, and what is to be replayed. */
  private async keepUp(life: ConsumerLife, work: ConsumerWork): Promise<void> {
    const { clock } = this.source.ports;
    const { signal } = this.ending;
    for (;;) {
      await sleep(clock, this.options.checkpointEveryMs, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        const due = await life.look({ signal });
        await life.save(work.watermark.position, { signal });
        this.trouble = undefined;
        if (due.length > 0) void work.replay(due);
      } catch (error) {
        if (signal.aborted) return;
        if (isLasting(error)) return this.stop(error);
        this.trouble = error;
      }
      this.changed.schedule();
    }
  }

  private hindered(error: unknown): void {
    this.trouble = error;
    this.changed.schedule();
  }

  private stop(error: VarlogError): void {
    if (this.ended !== undefined) return;
    // One that was fenced, or whose client is gone, has nothing to say any more.
    const drain = error.code !== 'CONSUMER_FENCED' && error.code !== 'CLOSED';
    void this.end({ drain, timeoutMs: DRAIN_MS, error });
  }

  private end(how: Ending): Promise<void> {
    if (this.ended !== undefined) return this.ended;
    // Noted first: who hears of the end by the status may call for it once more.
    let finished = (): void => {};
    this.ended = new Promise((resolve) => {
      finished = resolve;
    });
    void this.finishUp(how).then(finished);
    return this.ended;
  }

  private async finishUp({ drain, timeoutMs, error }: Ending): Promise<void> {
    this.failure = error;
    this.state = 'draining';
    this.ending.abort(error ?? closed(this.name));
    const { work } = this;
    const workEnded = work?.ended();
    this.report();
    if (drain) await this.waitFor(workEnded, timeoutMs);
    this.givenUp.abort(error ?? closed(this.name));
    // Where this fails, or the store hangs, the next life does some records again.
    if (work !== undefined && (error === undefined || drain)) {
      const saved = this.life?.save(work.watermark.position, { timeoutMs: LAST_SAVE_MS });
      await this.waitFor(
        saved?.catch(() => {}),
        LAST_SAVE_MS,
      );
    }
    this.state = error === undefined ? 'closed' : 'stopped';
    this.report();
    this.statuses.complete();
    this.waiters.stop(error ?? closed(this.name));
    if (error === undefined) this.settle.resolve();
    else this.settle.reject(error);
  }

  /** Resolves when `work` does, and after `timeoutMs` in any case. */
  private async waitFor(work: Promise<void> | undefined, timeoutMs: number): Promise<void> {
    const limit = new AbortController();
    const { clock } = this.source.ports;
    const late =
      timeoutMs === Infinity
        ? new Promise<never>(() => {})
        : sleep(clock, timeoutMs, limit.signal).catch(() => {});
    await Promise.race([work, late]);
    limit.abort();
  }

  private report(): void {
    this.statuses.next(this.status);
  }
}

/** How a consumer is closed. */
export interface CloseOptions {
  /** Whether handlers that have begun are waited for. Default true. */
  drain?: boolean;
  /** For so long at the most, in milliseconds. Default 10,000. */
  timeoutMs?: number;
}

function closed(name: string): VarlogError {
  return new VarlogError('CLOSED', {
    what: `consumer "${name}" was closed`,
    next: 'start it again to go on',
  });
}

function clientClosed(name: string): VarlogError {
  return new VarlogError('CLOSED', {
    what: `consumer "${name}" has no client any more`,
    because: 'the client was closed before the consumer',
    next: 'close consumers first: they save how far they are',
  });
}

/** The nodes have not agreed on the feature level yet: they do by themselves, soon after the last one supports it. */
function isNotAgreed(error: unknown): boolean {
  return VarlogError.is(error, 'FAILED_PRECONDITION') && 'featureLevel' in error.details;
}

const CLOSE_NAMES: OptionNames<CloseOptions> = { drain: true, timeoutMs: true };
