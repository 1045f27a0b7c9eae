import { type Observable, Subject } from 'rxjs';
import {
  type Clock,
  checkGivenNumber,
  checkLimits,
  inTime,
  type LogCallOptions,
  type LogEntry,
  type OrderedLog,
  onAbort,
  type Ports,
  reasonOf,
  sleep,
  TurnBudget,
  VarlogError,
} from '../base/index.ts';
import { ATTEMPT_TIMEOUT_MS, untilTaken } from './append-again.ts';
import type { Applier } from './applier.ts';
import { checkCall } from './call-options.ts';
import { ChangeHistory } from './change-history.ts';
import type { CommandCodecs } from './codecs.ts';
import { resultOf } from './command-outcome.ts';
import { CommandQueue } from './command-queue.ts';
import { Deadlines } from './deadlines.ts';
import { encodeUpgrade } from './envelope.ts';
import type { AppliedCommand, CommandPlace } from './log-context.ts';
import { LogHold } from './log-hold.ts';
import { checkedName, identityOf, type LogIdentity, tagOf } from './log-identity.ts';
import { LogTrim } from './log-trim.ts';
import { ReadBarrier } from './read-barrier.ts';
import { closedError, unidentified, unknownConsistency } from './replica-errors.ts';
import type { Applied, Consistency } from './replica-options.ts';
import { type ReplicaStatus, ReplicaStatuses } from './replica-status.ts';
import { skipsFrom, skipTarget } from './skip-command.ts';
import { Ticker } from './ticker.ts';
import { notRaised, notRaisedInTime } from './upgrade.ts';

/** The log has so long to say which one it is, where a replica cannot start without. */
const IDENTIFY_MS = 30_000;
const CALL_MS = 30_000;
const QUEUE_BYTES_MAX = 16 * 1024 * 1024;
const CHANGES_BYTES_MAX = 16 * 1024 * 1024;
const RETRY_MS = 200;
const CLOSE_MS = 1_000;
/** So often a replica whose status somebody watches makes sure that the log answers. */
const PROBE_MS = 5_000;

export interface LogFollowerParts<Command, Result> {
  /** What the replica was started with, as far as it is the same for all of them. */
  readonly options: {
    readonly log: OrderedLog;
    readonly name?: string;
    readonly trimLog?: boolean;
    readonly readOnly?: boolean;
    readonly callTimeoutMs?: number;
    readonly queueBytesMax?: number;
    readonly changesBytesMax?: number;
  };
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  readonly codecs: CommandCodecs<Command, Result>;
  readonly applier: Applier;
  /** Which place the state lies in, where it lies in one: see {@link LogHold}. */
  readonly place: ((fresh: string) => Promise<string>) | undefined;
}

/** What is applied in one turn at most, as {@link applyingCost} counts: a long log holds up nothing else. */
const APPLIED_PER_TURN = 1_024;
const BYTES_PER_COST = 1_024;

function applyingCost(entries: readonly LogEntry[]): number {
  const bytes = entries.reduce((sum, { command }) => sum + command.length, 0);
  return entries.length + bytes / BYTES_PER_COST;
}

/**
 * What every replica does, wherever its machine's state lies: follows the log and has its entries applied, sends
 * commands and tells their callers what became of them, holds queries back until the state is fresh enough, and says
 * how it fares. The {@link Applier} does the rest.
 */
export class LogFollower<Command, Result> {
  readonly applied$: Observable<Applied<Command, Result>>;
  readonly status$: Observable<ReplicaStatus>;
  readonly queue: CommandQueue<Command, Result>;
  readonly changes: ChangeHistory;
  readonly hold: LogHold | undefined;
  private readonly parts: LogFollowerParts<Command, Result>;
  private readonly log: OrderedLog;
  private readonly name: string;
  private readonly barrier: ReadBarrier;
  private readonly deadlines: Deadlines;
  private readonly statuses = new ReplicaStatuses();
  private readonly applied = new Subject<Applied<Command, Result>>();
  private readonly closing = new AbortController();
  private readonly turns: TurnBudget;
  private readonly ticker: Ticker;
  /** Whether all that was in the log when this replica began has been applied. */
  isLevel = false;
  /** The last that was passed on to `applied$`. */
  private announced: Place = { position: 0, index: 0 };
  private known: LogIdentity | undefined;
  private following: Promise<void> = Promise.resolve();
  private released: Promise<void> = Promise.resolve();

  constructor(parts: LogFollowerParts<Command, Result>) {
    this.parts = parts;
    const { options, ports, codecs, place } = parts;
    const { log, queueBytesMax = QUEUE_BYTES_MAX, trimLog = false } = options;
    this.log = log;
    this.turns = new TurnBudget(ports.clock, APPLIED_PER_TURN);
    const { statuses } = this;
    this.name = checkedName(options.name ?? 'machine');
    const deadlines = new Deadlines(ports.clock, options.callTimeoutMs ?? CALL_MS);
    this.deadlines = deadlines;
    this.queue = new CommandQueue(log, ports, codecs, queueBytesMax, deadlines, statuses);
    const onShortLog = (error: VarlogError): void => this.fail(error);
    this.barrier = new ReadBarrier(log, ports.clock, deadlines, statuses, onShortLog);
    const trim = trimLog
      ? LogTrim.on(log, this.signal, (trimmed) => this.report({ trimmed }))
      : undefined;
    const hold: LogHold | undefined = LogHold.on(log, {
      ...ports,
      signal: this.signal,
      machine: this.name,
      place,
      changed: () => this.report({ holdError: hold?.error }),
      held: (position) => trim?.behind(position),
    });
    this.hold = hold;
    const { changesBytesMax: bytesMax = CHANGES_BYTES_MAX } = options;
    this.changes = new ChangeHistory({ clock: ports.clock, bytesMax, codec: codecs.change });
    this.ticker = new Ticker({
      ...ports,
      signal: this.signal,
      admission: () => parts.applier.admission,
      session: () => this.queue.currentSession,
      leads: () => log.leads?.(),
      tick: () => this.queue.tick(),
    });
    this.applied$ = this.applied.asObservable();
    this.status$ = statuses.status$;
  }

  /** Aborted when the replica ends. */
  get signal(): AbortSignal {
    return this.closing.signal;
  }

  /** Which machine on which log this is. Only after {@link identify}, and for what comes from the log. */
  get identity(): LogIdentity {
    return this.known as LogIdentity;
  }

  /** Waits until the log has said which one it is, for states that may be of another. Rejects with `UNREACHABLE`. */
  identify(clock: Clock): Promise<void> {
    const late = (): VarlogError => unidentified(IDENTIFY_MS);
    return inTime(clock, IDENTIFY_MS, this.signal, (it) => this.meet(clock, it), late);
  }

  /** Begins to follow. `stored`: position of a state that is kept, which the log must reach at least; 0: none. */
  begin(stored: number): void {
    this.barrier.begin(stored);
    this.changes.jump(stored);
    this.following = Promise.resolve().then(() => this.follow());
    void this.probe();
  }

  /** Says what the status is to tell from now on. */
  report(changes: Parameters<ReplicaStatuses['update']>[0]): void {
    this.statuses.update(changes);
  }

  /** Everything up to `position` is in the state: whoever waited for it goes on. */
  advance(position: number, changes: Parameters<ReplicaStatuses['update']>[0]): void {
    this.queue.advance(position);
    this.barrier.advance(position);
    this.ticker.advance(position);
    this.changes.advance(position);
    this.report({ position, ...changes });
  }

  /** The state is not whole, or is to be an earlier one: queries wait until it advances. */
  retreat(): void {
    this.barrier.retreat();
  }

  /** A command took effect. Passed on once, also where the state started over since. */
  announce({ place, command: bytes, outcome, changes }: AppliedCommand): void {
    const { position, index, time } = place;
    if (!isAfter(place, this.announced)) return;
    this.announced = { position, index };
    this.changes.add(position, time, changes);
    if (!this.applied.observed || typeof outcome === 'string') return;
    const { codecs } = this.parts;
    // Values of their own: the machine may have kept those that it was given, or gave.
    const [command, result] = [codecs.command.decode(bytes), resultOf(outcome, codecs.result)];
    this.applied.next({ ...place, command, result });
  }

  /** The state went on to `position` without the entries in between: their callers are told what it holds of them. */
  reconcile(position: number): void {
    const { sessions, requests } = this.parts.applier.admission;
    this.changes.jump(position);
    this.queue.reconcile(
      // One that was opened behind it is still to come.
      (id) => id > position || sessions.has(id),
      (id, sequence) => sessions.outcomeOf(id, sequence),
      requests.forgotten,
    );
  }

  /** Whether an operator ordered, further on in the log, to pass over what cannot be applied here. */
  async isSkipped(position: number, timer: number | undefined): Promise<boolean> {
    const { log } = this;
    const { admission } = this.parts.applier;
    const target = skipTarget(position, timer);
    if (admission.isOrdered(target)) return false;
    const tag = tagOf(this.identity);
    const skips = await this.lookAhead((signal) => skipsFrom(log, tag, position, signal));
    if (skips?.has(target) !== true) return false;
    admission.order(skips);
    return true;
  }

  /** What is found further on in the log; `undefined` where it does not answer in time. */
  lookAhead<T>(look: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    const late = (): VarlogError => unidentified(IDENTIFY_MS);
    const { clock } = this.parts.ports;
    return inTime(clock, IDENTIFY_MS, this.signal, look, late).catch(() => undefined);
  }

  /** Resolves when the state is as fresh as a query wants it; throws or rejects where it never will be. */
  fresh(options: LogCallOptions & { consistency?: Consistency }): Promise<void> | void {
    const { consistency = 'linearizable' } = options;
    if (consistency === 'linearizable') return this.barrier.latest(options);
    if (consistency === 'stale') return this.barrier.whole(options);
    if ('maxStalenessMs' in Object(consistency)) {
      const { maxStalenessMs } = consistency as { maxStalenessMs: number };
      checkGivenNumber(maxStalenessMs, 'consistency.maxStalenessMs', 0);
      return this.barrier.within(maxStalenessMs, options);
    }
    if (!('atLeast' in Object(consistency))) throw unknownConsistency(consistency);
    const { atLeast } = consistency as { atLeast: number };
    checkGivenNumber(atLeast, 'consistency.atLeast', 0);
    return this.barrier.reached(atLeast, options);
  }

  /** Resolves when all that was committed before this call has been applied. */
  async caughtUp(options: LogCallOptions): Promise<void> {
    checkCall(options, 'caughtUp');
    return this.barrier.latest(options);
  }

  /**
   * Has the rules raised to `version` for all replicas, where they are not yet. Resolves when they are in force here,
   * with those that are: they may have been raised further. A repetition is harmless.
   */
  async upgradeTo(version: number, options: LogCallOptions): Promise<number> {
    checkCall(options, 'upgradeTo');
    const { signal, timeoutMs } = options;
    const { applier, ports } = this.parts;
    const { rules } = applier.admission;
    rules.checkKnown(version);
    checkLimits({ signal, timeoutMs });
    const limit = new AbortController();
    const callOff = this.deadlines.limit(timeoutMs, (ms) => limit.abort(notRaisedInTime(ms)));
    const forget = onAbort(signal, () => limit.abort(signal?.reason));
    const forgetEnd = onAbort(this.signal, () =>
      limit.abort(this.statuses.current.error ?? closedError()),
    );
    try {
      const waiting = { signal: limit.signal, timeoutMs: Number.POSITIVE_INFINITY };
      await this.caughtUp(waiting);
      if (rules.inForce >= version) return rules.inForce;
      await this.meet(ports.clock, limit.signal);
      const tag = tagOf(this.identity);
      const call = { signal: limit.signal, timeoutMs: ATTEMPT_TIMEOUT_MS };
      const append = (): Promise<number> => this.log.append([encodeUpgrade(tag, version)], call);
      const position = await untilTaken(append, ports, limit.signal);
      await this.barrier.reached(position, waiting);
      if (rules.inForce < version) throw notRaised(version, position);
      return rules.inForce;
    } finally {
      callOff();
      forget();
      forgetEnd();
    }
  }

  /** Ends for good. A machine that failed must not be led by this member: others have to see that it does not go on. */
  fail(error: unknown): void {
    if (this.statuses.ended) return;
    this.end('failed', error);
    this.log.resign?.(reasonOf(error));
  }

  /** Resolves when everything was let go of, but not later than a second. Idempotent. */
  async close(): Promise<void> {
    this.end('closed', closedError());
    const settled = new AbortController();
    const limit = sleep(this.parts.ports.clock, CLOSE_MS, settled.signal).catch(() => {});
    await Promise.race([Promise.all([this.released, this.hold?.settled()]), limit]);
    settled.abort();
  }

  private end(state: 'failed' | 'closed', error: unknown): void {
    if (this.statuses.ended) return;
    const failure = state === 'failed' ? error : undefined;
    this.statuses.end(state, failure);
    this.closing.abort(error);
    this.queue.stop(error);
    this.barrier.stop(error);
    this.ticker.stop();
    this.changes.stop(failure);
    this.deadlines.stop();
    // What cannot be let go of is in the way of whoever comes next, and is reported there.
    this.released = this.parts.applier.end(this.following, failure).catch(() => {});
    if (state === 'failed') this.applied.error(error);
    else this.applied.complete();
  }

  private async meet(clock: Clock, signal: AbortSignal): Promise<void> {
    if (this.known !== undefined) return;
    const lost = (error: unknown): void => this.statuses.unreachable(error);
    const log = await identityOf(this.log, clock, signal, lost);
    this.known = { log, machine: this.name };
    const tag = tagOf(this.known);
    this.parts.applier.admission.bind(tag);
    this.queue.bind(tag);
  }

  private async follow(): Promise<void> {
    const { signal } = this;
    const { log } = this;
    const { applier, ports } = this.parts;
    // A log that ends before the state that it began with is found even when nobody asks.
    this.caughtUp({ signal, timeoutMs: Number.POSITIVE_INFINITY }).then(
      () => {
        this.isLevel = true;
        if (this.parts.options.readOnly !== true) this.ticker.start();
      },
      () => {},
    );
    await applier.begin();
    while (!signal.aborted) {
      try {
        await this.meet(ports.clock, signal);
        for await (const it of log.follow(applier.position + 1, { signal })) {
          if (signal.aborted) return;
          try {
            if (it.kind === 'snapshot') await applier.restore(it.state, it.position);
            else {
              const turn = this.turns.take(applyingCost(it.entries));
              if (turn !== undefined) await turn;
              if (signal.aborted) return;
              const applying = applier.apply(it.entries, it.through);
              if (applying !== undefined) await applying;
            }
          } catch (error) {
            await this.recover(error);
            break;
          }
        }
      } catch (error) {
        if (signal.aborted) return;
        if (VarlogError.is(error) && error.retryable) this.statuses.unreachable(error);
        else this.fail(error);
      }
      await sleep(ports.clock, RETRY_MS, signal).catch(() => {});
    }
  }

  private async recover(error: unknown): Promise<void> {
    if (this.signal.aborted) return;
    try {
      if (!(await this.parts.applier.recover(error))) this.fail(error);
    } catch (final) {
      this.fail(final);
    }
  }

  private async probe(): Promise<void> {
    const { signal, statuses } = this;
    while (!signal.aborted) {
      await sleep(this.parts.ports.clock, PROBE_MS, signal).catch(() => {});
      if (!signal.aborted && statuses.observed)
        await this.caughtUp({ signal, timeoutMs: PROBE_MS }).catch(() => {});
    }
  }
}

type Place = Pick<CommandPlace, 'position' | 'index'>;

function isAfter(one: Place, other: Place): boolean {
  if (one.position !== other.position) return one.position > other.position;
  return one.index > other.index;
}
