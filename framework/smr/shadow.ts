import { type Observable, ReplaySubject } from 'rxjs';
import {
  type Clock,
  checkCount,
  type Followed,
  onAbort,
  sleep,
  TurnBudget,
  VarlogError,
} from '../base/index.ts';
import {
  MachinePair,
  type PairOptions,
  type ReplayDifference,
  STATE_EVERY,
} from './machine-pair.ts';
import { closerLook } from './replay.ts';
import { endOf, type ReplayRange, singly } from './replayed-machine.ts';

const RETRY_MS = 200;
/** Entries that are taken in one turn at most: what else this process does is not held up. */
const ENTRIES_PER_TURN = 256;

export interface ShadowOptions extends PairOptions {
  /** Default: the tail. */
  forkAt?: number;
  /**
   * Commands between comparisons of the whole states. Each takes a `snapshot()` of both and a walk through them. Default:
   * 1,000.
   */
  stateEvery?: number;
}

export interface ShadowStatus {
  /**
   * `connecting`: the log does not answer, and `error` says why. `differs`, `failed` and `closed` are the end: what they differ
   * in, what neither of them could go on from, or nothing.
   */
  readonly state: 'comparing' | 'connecting' | 'differs' | 'failed' | 'closed';
  /** All entries up to here were taken by both. */
  readonly position: number;
  /** How many commands took effect since the fork. */
  readonly commands: number;
  /** The last position at which the states were found to be equal. */
  readonly equalAt: number;
  /** The first one. */
  readonly difference?: ReplayDifference;
  readonly error?: unknown;
}

/**
 * A version of a machine that runs beside the one in use, on what is appended while both run, and writes nothing. Made by
 * `startShadow`. It stops at the first command that the two answer differently, or after which their states differ.
 */
export class Shadow {
  /** How it fares, now and from now on. Completes after `differs`, `failed` and `closed`. */
  readonly status$: Observable<ShadowStatus>;
  private readonly pair: MachinePair;
  private readonly options: ShadowOptions;
  private readonly range: ReplayRange;
  private readonly closing: AbortController;
  private readonly statuses = new ReplaySubject<ShadowStatus>(1);
  private readonly turns: TurnBudget;
  private readonly clock: Clock;
  private now: ShadowStatus;
  /** Steps go one after the other: what is compared must not be changed meanwhile. */
  private steps: Promise<unknown> = Promise.resolve();
  private readonly following: Promise<void>;

  private constructor(
    pair: MachinePair,
    options: ShadowOptions,
    range: ReplayRange,
    closing: AbortController,
  ) {
    const { clock } = range.ports;
    this.pair = pair;
    this.options = options;
    this.range = range;
    this.closing = closing;
    this.clock = clock;
    this.turns = new TurnBudget(clock, ENTRIES_PER_TURN);
    this.status$ = this.statuses.asObservable();
    this.now = { state: 'comparing', ...this.progress };
    this.statuses.next(this.now);
    this.following = this.follow();
  }

  /** For `startShadow`. `source.signal` calls the start off, and nothing afterwards. */
  static async start(options: ShadowOptions, source: ReplayRange): Promise<Shadow> {
    checkCount(options.stateEvery, 'stateEvery');
    checkCount(options.forkAt, 'forkAt', 0);
    const closing = new AbortController();
    const { signal } = closing;
    const range = { ...source, signal };
    const forget = onAbort(source.signal, () => closing.abort(source.signal?.reason));
    try {
      const forked = { ...options, forkAt: await endOf(range, options.forkAt) };
      signal.throwIfAborted();
      const pair = await MachinePair.open(forked, range);
      if (!signal.aborted) return new Shadow(pair, forked, range, closing);
      await pair.close();
      throw signal.reason;
    } finally {
      forget();
    }
  }

  /** The new version, as of `position` of the status. To be looked at, not changed. */
  get machine(): unknown {
    return this.pair.machine;
  }

  /**
   * Compares the whole states now, whatever `stateEvery` says. Resolves with what the two differ in, also where that was
   * found before; with `undefined` where they are equal. Rejects with `CLOSED`, or with what it failed with.
   */
  async compare(): Promise<ReplayDifference | undefined> {
    await this.step(async () => this.pair.compareUnseen());
    const { state, error, difference } = this.now;
    if (state === 'failed') throw error;
    if (difference !== undefined || !this.isOver) return difference;
    throw new VarlogError('CLOSED', { what: 'the shadow is closed', next: 'start a new one' });
  }

  /** Stops. Leaves the log open. Idempotent. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.following;
    await this.steps;
    this.end('closed');
    await this.pair.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async follow(): Promise<void> {
    const { signal } = this.range;
    const { log } = this.range;
    while (!this.isOver) {
      try {
        for await (const it of log.follow(this.pair.position + 1, { signal: signal! })) {
          await this.takeAll(it);
          if (this.isOver) return;
        }
      } catch (error) {
        if (this.isOver) return;
        if (!VarlogError.is(error) || !error.retryable) return this.end('failed', error);
        this.report({ state: 'connecting', error });
      }
      await sleep(this.clock, RETRY_MS, signal).catch(() => {});
    }
    this.end('closed');
  }

  private async takeAll(it: Followed): Promise<void> {
    const { pair, options } = this;
    for (const next of singly(it)) {
      const turn = this.turns.take(1);
      if (turn !== undefined) await turn;
      await this.step(() => pair.take(next, options.stateEvery ?? STATE_EVERY));
      if (this.isOver) return;
    }
    // What follows the last entry of this machine may be others'.
    if (it.kind === 'entries' && it.through > pair.position)
      await this.step(() => pair.take({ ...it, entries: [] }, STATE_EVERY));
    this.report({ state: 'comparing' });
  }

  /** Does something with the two machines, and says what came of it. MUST NOT reject. */
  private step(work: () => Promise<void>): Promise<void> {
    const done = this.steps.then(async () => {
      if (this.isOver) return;
      try {
        await work();
        if (this.pair.difference !== undefined) await this.part(this.pair.difference);
      } catch (error) {
        if (!this.isOver) this.end('failed', error);
      }
    });
    this.steps = done;
    return done;
  }

  /** They differ: where it is not known since which command, the log is read once more, as long as it has all of it. */
  private async part(found: ReplayDifference): Promise<void> {
    const { pair, options, range } = this;
    const closer = pair.isExact
      ? undefined
      : await closerLook(options, range, found).catch(() => undefined);
    this.end('differs', undefined, closer?.difference ?? found);
  }

  private get isOver(): boolean {
    return this.range.signal?.aborted === true || isEnd(this.now.state);
  }

  private get progress() {
    const { position, commands, equalAt } = this.pair;
    return { position, commands, equalAt };
  }

  private report(state: Pick<ShadowStatus, 'state' | 'error' | 'difference'>): void {
    if (isEnd(this.now.state)) return;
    this.now = { ...this.progress, ...state };
    this.statuses.next(this.now);
  }

  private end(
    state: 'differs' | 'failed' | 'closed',
    error?: unknown,
    difference?: ReplayDifference,
  ): void {
    if (isEnd(this.now.state)) return;
    this.report({
      state,
      ...(error !== undefined && { error }),
      ...(difference && { difference }),
    });
    this.statuses.complete();
  }
}

function isEnd(state: ShadowStatus['state']): boolean {
  return state === 'differs' || state === 'failed' || state === 'closed';
}
