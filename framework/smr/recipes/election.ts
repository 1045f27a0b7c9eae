import { BehaviorSubject, distinctUntilChanged, map, type Observable } from 'rxjs';
import {
  Backoff,
  checkFunctions,
  checkNames,
  checkNumber,
  checkText,
  type OptionNames,
  type Ports,
  sleep,
  type Timer,
  Wakeups,
} from '../../base/index.ts';
import type { ExecuteOptions } from '../execute-options.ts';
import type { Lock, LockCommand, LockResult, LockTable } from './lock-table.ts';

const BACKOFF_MS = { first: 50, most: 2_000 };
/** So often the lease is renewed before this candidate stops to rely on it. */
const RENEWALS = 3;

/** What this candidate may rely on while it leads. */
export interface Leadership {
  /** Grows with each leader: to be given to whatever the leader changes, which must refuse a smaller one. */
  readonly token: number;
  /** Aborted when this candidate does not lead any more, or cannot be sure of it. */
  readonly signal: AbortSignal;
}

/** A replica of the machine that keeps the lock. */
export interface ElectionReplica<Command, Result, Machine> {
  readonly state$: Observable<Machine>;
  execute(command: Command, options?: ExecuteOptions): Promise<Result>;
}

export interface ElectionOptions<Command, Result, Machine> {
  replica: ElectionReplica<Command, Result, Machine>;
  /** Name of the lock: one election for each. */
  name: string;
  /** What this candidate calls itself: for people. */
  owner: string;
  /** When a leader dies, another one is elected after so long. Default: 10,000. */
  ttlMs?: number;
  /** Where the machine keeps its locks. */
  locks: (machine: Machine) => Pick<LockTable<Command>, 'get'>;
  /** Makes a command of the machine, as for the {@link LockTable}. */
  command: (command: LockCommand) => Command;
  /** Takes what the lock table said out of a result of the machine. */
  result: (result: Result) => LockResult;
}

const NAMES: OptionNames<ElectionOptions<never, never, never> & { ports: never }> = {
  replica: true,
  name: true,
  owner: true,
  ttlMs: true,
  locks: true,
  command: true,
  result: true,
  ports: true,
};

/**
 * One of several candidates, of which one leads at a time: it holds a lock of the machine, and renews it. A candidate
 * relies on its lease for half of it, because the log's time may go twice as fast as its clock: then it has been renewed,
 * or the candidate stops. One whose process stands still does not notice in time; what it changes then carries an old
 * token, and must be refused by it: see {@link LockTable}.
 */
export class Election<Command, Result, Machine> {
  /** Who leads, as this replica knows it. */
  readonly leader$: Observable<Lock | undefined>;
  /**
   * This candidate's leadership, now and from now on; `undefined` while it has none. Completes when it resigned, or its replica
   * ended. Errors, and it is no candidate any more, with what `command` or `result` threw.
   */
  readonly leadership$: Observable<Leadership | undefined>;
  private readonly options: ElectionOptions<Command, Result, Machine>;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly ttlMs: number;
  private readonly backoff: Backoff;
  private readonly leading = new BehaviorSubject<Leadership | undefined>(undefined);
  private readonly closing = new AbortController();
  private readonly campaign: Promise<void>;
  private readonly changed = new Wakeups();
  private leader: Lock | undefined;
  private lease: { readonly end: AbortController; until: number; timer: Timer } | undefined;

  constructor(
    options: ElectionOptions<Command, Result, Machine>,
    ports: Pick<Ports, 'clock' | 'random'>,
  ) {
    const { replica, locks, name, ttlMs = 10_000 } = options;
    checkNames(options, NAMES, 'electLeader');
    checkText(name, 'name');
    checkText(options.owner, 'owner');
    checkFunctions({ locks, command: options.command, result: options.result });
    checkNumber(ttlMs, 'ttlMs', 1);
    this.options = options;
    this.ports = ports;
    this.ttlMs = ttlMs;
    this.backoff = new Backoff(ports.random, BACKOFF_MS.first, BACKOFF_MS.most);
    this.leadership$ = this.leading.asObservable();
    this.leader$ = replica.state$.pipe(
      map((machine) => locks(machine).get(name)),
      distinctUntilChanged((one, other) => one?.token === other?.token),
    );
    const over = (): void => this.closing.abort();
    const watching = this.leader$.subscribe({
      next: (leader) => {
        this.leader = leader;
        this.changed.wake();
      },
      // The replica failed, or was closed.
      error: over,
      complete: over,
    });
    const end = (): void => {
      over();
      this.stop();
      watching.unsubscribe();
    };
    this.campaign = this.run().then(
      () => {
        end();
        this.leading.complete();
      },
      (error: unknown) => {
        end();
        this.leading.error(error);
      },
    );
  }

  /** The token under which this candidate leads; `undefined` where it does not. */
  get token(): number | undefined {
    const { lease } = this;
    if (lease === undefined || this.ports.clock.now() >= lease.until) return undefined;
    return this.leading.value?.token;
  }

  /** Leads no more, and is no candidate any more. Resolves when the lock was given back, or its lease is left to end. */
  async resign(): Promise<void> {
    this.closing.abort();
    await this.campaign;
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      while (this.leader !== undefined && !signal.aborted) await this.changed.wait(signal);
      const token = signal.aborted ? undefined : await this.acquire();
      if (token !== undefined) await this.lead(token);
    }
  }

  /** The token where this candidate got the lock. */
  private async acquire(): Promise<number | undefined> {
    const { name, owner } = this.options;
    const { ttlMs } = this;
    const sentAt = this.ports.clock.now();
    const result = await this.ask({ op: 'acquire', name, owner, ttlMs });
    if (result?.done === false && result.refusal === 'NO_ROOM') await this.pause();
    if (result?.done !== true || result.lock === null) return undefined;
    const { token } = result.lock;
    this.rely(token, sentAt);
    return token;
  }

  /** Renews until the lock is lost, or this candidate resigns. */
  private async lead(token: number): Promise<void> {
    const { name } = this.options;
    const { clock } = this.ports;
    const { signal } = this.closing;
    while (!signal.aborted && this.token === token) {
      await sleep(clock, this.ttlMs / 2 / RENEWALS, signal).catch(() => {});
      if (signal.aborted) break;
      const sentAt = clock.now();
      const result = await this.ask({ op: 'renew', name, token });
      if (result?.done === true) this.rely(token, sentAt);
      else if (result !== undefined) break;
    }
    this.stop();
    if (signal.aborted) await this.ask({ op: 'release', name, token });
  }

  /** What the lock table said; `undefined` where that is not known. Throws what the caller's functions throw. */
  private async ask(command: LockCommand): Promise<LockResult | undefined> {
    const { replica, command: wrap, result } = this.options;
    const wrapped = wrap(command);
    let answer: { readonly result: Result };
    try {
      answer = { result: await replica.execute(wrapped, { timeoutMs: this.ttlMs / 2 }) };
    } catch {
      await this.pause();
      return undefined;
    }
    this.backoff.reset();
    return result(answer.result);
  }

  private pause(): Promise<void> {
    return this.backoff.pause(this.ports.clock, this.closing.signal);
  }

  /** From now on, or still, this candidate leads: by a lease that it asked for at `sentAt`. */
  private rely(token: number, sentAt: number): void {
    const { clock } = this.ports;
    const until = sentAt + this.ttlMs / 2;
    const timer = clock.after(Math.max(0, until - clock.now()), () => this.stop());
    this.lease?.timer.cancel();
    if (this.lease !== undefined) {
      this.lease.until = until;
      this.lease.timer = timer;
      return;
    }
    const end = new AbortController();
    this.lease = { end, until, timer };
    this.leading.next({ token, signal: end.signal });
  }

  private stop(): void {
    const { lease } = this;
    if (lease === undefined) return;
    this.lease = undefined;
    lease.timer.cancel();
    this.leading.next(undefined);
    lease.end.abort();
  }
}
