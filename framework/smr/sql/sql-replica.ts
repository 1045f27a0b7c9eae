import { type Observable, Subject } from 'rxjs';
import type { EntityManager } from 'typeorm';
import {
  type Clock,
  type Codec,
  type LogCallOptions,
  type LogEntry,
  type Ports,
  reasonOf,
  SerialQueue,
  sleep,
  VarlogError,
} from '../../base/index.ts';
import { jsonCodec } from '../codecs.ts';
import { CommandQueue, type ExecuteOptions } from '../command-queue.ts';
import { Deadlines, inTime } from '../deadlines.ts';
import { LogHold } from '../log-hold.ts';
import { checkedName, identityOf, type LogIdentity, tagOf } from '../log-identity.ts';
import { resultOf } from '../outcome.ts';
import { ReadBarrier } from '../read-barrier.ts';
import { closedError, unidentified } from '../replica-errors.ts';
import type { Applied, Consistency } from '../replica-options.ts';
import { type ReplicaStatus, ReplicaStatuses } from '../replica-status.ts';
import { skipsFrom } from '../skip-command.ts';
import { ApplierTables } from './applier-tables.ts';
import { type Dialect, dialectOf } from './dialect.ts';
import { checkSources, prepare } from './prepare-source.ts';
import { type SourceUse, useSource } from './source-use.ts';
import { type Batch, SqlApplier } from './sql-applier.ts';
import { applyFailed, headIsGone } from './sql-replica-errors.ts';
import type { SqlReplicaOptions } from './sql-replica-options.ts';
import { Tenancy } from './tenancy.ts';

/** So often a replica whose status somebody watches makes sure that the log answers. */
const PROBE_MS = 5_000;
const CALL_MS = 30_000;
const RETRY_MS = 200;
const CLOSE_MS = 1_000;
const START_MS = 30_000;
/** So often, at the most, the log is told how far the database is. */
const HOLD_MS = 5_000;
const BACKOFF_MS = { first: 10, most: 1_000 };

/** A machine in a SQL database that follows a log. Made by `startSqlReplica`. */
export class SqlReplica<Command, Result> {
  /** Each command when its transaction has been committed. */
  readonly applied$: Observable<Applied<Command, Result>>;
  readonly status$: Observable<ReplicaStatus>;
  private readonly options: SqlReplicaOptions<Command, Result>;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly dialect: Dialect;
  private readonly tables: ApplierTables;
  private readonly codecs: { readonly command: Codec<Command>; readonly result: Codec<Result> };
  private readonly applier: SqlApplier<Command, Result>;
  private readonly queue: CommandQueue<Command, Result>;
  private readonly barrier: ReadBarrier;
  private readonly turns = new SerialQueue();
  private readonly closing = new AbortController();
  private readonly applied = new Subject<Applied<Command, Result>>();
  private readonly statuses = new ReplicaStatuses();
  private readonly deadlines: Deadlines;
  private readonly hold: LogHold | undefined;
  private holdAgainAt = 0;
  private tag: Uint8Array = new Uint8Array();
  private at = 0;
  private following: Promise<void> = Promise.resolve();
  private released: Promise<void> = Promise.resolve();
  private use: SourceUse | undefined;

  constructor(options: SqlReplicaOptions<Command, Result>, ports: Pick<Ports, 'clock' | 'random'>) {
    this.options = options;
    this.ports = ports;
    this.codecs = {
      command: options.codec?.command ?? jsonCodec<Command>(),
      result: options.codec?.result ?? jsonCodec<Result>(),
    };
    this.dialect = dialectOf(options.dataSource);
    this.tables = new ApplierTables(this.dialect);
    this.applier = new SqlApplier({
      machine: options.machine,
      dataSource: options.dataSource,
      dialect: this.dialect,
      tables: this.tables,
      ...this.codecs,
      limits: options,
    });
    const bytesMax = options.queueBytesMax ?? 16 * 1024 * 1024;
    const { log } = options;
    const deadlines = new Deadlines(ports.clock, options.callTimeoutMs ?? CALL_MS);
    this.deadlines = deadlines;
    this.queue = new CommandQueue(log, ports, this.codecs, bytesMax, deadlines, this.statuses);
    this.barrier = new ReadBarrier(log, ports.clock, deadlines, this.statuses, (error) =>
      this.fail(error),
    );
    this.hold = LogHold.on(log, {
      ...ports,
      signal: this.closing.signal,
      machine: options.name ?? 'machine',
      place: (fresh) => this.place(fresh),
      changed: () => this.statuses.update({ holdError: this.hold?.error }),
    });
    this.applied$ = this.applied.asObservable();
    this.status$ = this.statuses.status$;
  }

  /** Opens the database and begins to follow; `clock` measures waits of the start. For `startSqlReplica`. */
  async start(clock: Clock): Promise<void> {
    const { dataSource, reader, takeOverMs = 2_000 } = this.options;
    checkSources(dataSource, reader);
    const identity = await this.identify(clock);
    this.tag = tagOf(identity);
    const use = await useSource(dataSource, this.dialect);
    const { dialect, tables, turns } = this;
    const parts = { dataSource, dialect, tables, turns, takeOverMs };
    const tenancy = new Tenancy({ ...parts, ...this.ports });
    try {
      // Before its tables are changed.
      await tables.check(dataSource.manager, identity);
      await prepare(dataSource, dialect);
      if (reader?.isInitialized === false) await reader.initialize();
      await tenancy.begin(identity, clock);
      this.at = await this.applier.open(tenancy.owner, this.tag);
    } catch (error) {
      use.leave(tenancy.end());
      throw error;
    }
    this.use = use;
    this.queue.bind(this.tag);
    this.barrier.begin(this.at);
    this.advance(this.at);
    this.following = Promise.resolve().then(() => this.follow());
    this.released = this.following.then(() => turns.run(() => tenancy.end()));
    // One that cannot be told is waited for by the next.
    this.released.catch(() => {});
    tenancy.keep((error) => this.fail(error));
    void this.probe();
  }

  /** All commands up to here have been applied and committed. */
  get position(): number {
    return this.at;
  }

  /** Runs a command through the log and resolves with its result: like `Replica.execute`. */
  execute(command: Command, options: ExecuteOptions = {}): Promise<Result> {
    return this.queue.execute(command, options);
  }

  /**
   * Looks at the database. Default: linearizable. It must not be changed, nor the manager kept. Without
   * a `reader`, nothing is applied before `look` is done: it must not wait for this replica.
   */
  async query<T>(
    look: (manager: EntityManager) => Promise<T>,
    options: LogCallOptions & { consistency?: Consistency } = {},
  ): Promise<T> {
    const consistency = options.consistency ?? 'linearizable';
    if (consistency === 'linearizable') await this.barrier.latest(options);
    else if (consistency === 'stale') this.barrier.check();
    else await this.barrier.reached(consistency.atLeast, options);
    const { dataSource, reader } = this.options;
    if (reader !== undefined) return look(reader.manager);
    return this.turns.run(() => look(dataSource.manager));
  }

  /** Resolves when all that was committed before this call has been applied here. */
  caughtUp(options: LogCallOptions = {}): Promise<void> {
    return this.barrier.latest(options);
  }

  /** Stops following. Commands without a result are rejected. Leaves the log and the database open. */
  async close(): Promise<void> {
    this.end('closed', closedError());
    const settled = new AbortController();
    const limit = sleep(this.ports.clock, CLOSE_MS, settled.signal).catch(() => {});
    const ended = Promise.all([this.released.catch(() => {}), this.hold?.settled()]);
    await Promise.race([ended, limit]);
    settled.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async identify(clock: Clock): Promise<LogIdentity> {
    const { log, name = 'machine' } = this.options;
    const machine = checkedName(name);
    const look = (signal: AbortSignal): Promise<string> =>
      identityOf(log, clock, signal, (error) => this.statuses.lost(error));
    const late = (): VarlogError => unidentified(START_MS);
    return { log: await inTime(clock, START_MS, this.closing.signal, look, late), machine };
  }

  /** A machine that failed must not be led by this member: others have to see that it does not go on. */
  private fail(error: unknown): void {
    if (this.statuses.ended) return;
    this.end('failed', error);
    this.options.log.resign?.(reasonOf(error));
  }

  private end(state: 'failed' | 'closed', error: unknown): void {
    if (this.statuses.ended) return;
    this.statuses.end(state, state === 'failed' ? error : undefined);
    this.use?.leave(this.released);
    this.closing.abort();
    this.queue.stop(error);
    this.barrier.stop(error);
    this.deadlines.stop();
    if (state === 'failed') this.applied.error(error);
    else this.applied.complete();
  }

  private async probe(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      await sleep(this.ports.clock, PROBE_MS, signal).catch(() => {});
      if (!signal.aborted && this.statuses.observed)
        await this.caughtUp({ signal, timeoutMs: PROBE_MS }).catch(() => {});
    }
  }

  private async follow(): Promise<void> {
    const { signal } = this.closing;
    const { log } = this.options;
    // A log that ends before the state of the database is found even when nobody asks.
    this.caughtUp({ signal, timeoutMs: Number.POSITIVE_INFINITY }).catch(() => {});
    await this.holdOn((position) => this.hold?.begin(position));
    while (!signal.aborted) {
      try {
        for await (const it of log.follow(this.at + 1, { signal })) {
          if (signal.aborted) return;
          if (it.kind === 'snapshot') throw headIsGone(this.at, it.position);
          await this.applyAll(it.entries);
          if (signal.aborted) return;
          // Only what an entry moved the database to is in it.
          if (it.entries.length > 0) await this.holdOn((position) => this.hold?.move(position));
          this.advance(Math.max(this.at, it.through));
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!VarlogError.is(error) || !error.retryable) {
          this.fail(error);
          return;
        }
        this.statuses.lost(error);
      }
      await sleep(this.ports.clock, RETRY_MS, signal).catch(() => {});
    }
  }

  /** Tells the log, now and then, what is on disk here and so not needed any more. */
  private async holdOn(tell: (position: number) => Promise<void> | void): Promise<void> {
    const now = this.ports.clock.now();
    if (this.hold === undefined || now < this.holdAgainAt) return;
    this.holdAgainAt = now + HOLD_MS;
    const position = this.at;
    const { dialect, turns, options } = this;
    const isOnDisk = await turns.run(() => dialect.flush(options.dataSource)).catch(() => false);
    if (isOnDisk) await tell(position);
  }

  private place(fresh: string): Promise<string> {
    const { tables, turns, options } = this;
    return turns.run(() => options.dataSource.transaction((it) => tables.place(it, fresh)));
  }

  private async applyAll(entries: readonly LogEntry[]): Promise<void> {
    const batchMax = this.options.batchMax ?? 200;
    let done = 0;
    let attempts = 0;
    // Behind a failure go single commands, so that all before the one at fault are committed.
    let singleUntil = 0;
    while (done < entries.length && !this.closing.signal.aborted) {
      const first = entries[done] as LogEntry;
      const count = first.position <= singleUntil ? 1 : batchMax;
      const batch = entries.slice(done, done + count);
      try {
        const applied = await this.turns.run(() => this.applier.apply(batch));
        done += batch.length;
        attempts = 0;
        this.publish(applied, (batch.at(-1) as LogEntry).position);
      } catch (error) {
        const { at } = this.applier;
        singleUntil = Math.max(singleUntil, at);
        const final = isFinal(error) || ++attempts >= (this.options.attemptsMax ?? 10);
        if (final && !(await this.isSkipped(at, error)))
          throw isFinal(error) ? error : applyFailed(at, attempts, error);
        if (final) attempts = 1;
        await this.pause(BACKOFF_MS.first * 2 ** (attempts - 1));
      }
    }
  }

  /** Whether an operator ordered, further on in the log, to pass over what cannot be applied here. */
  private async isSkipped(position: number, error: unknown): Promise<boolean> {
    const { admission } = this.applier;
    if (admission.isOrdered(position) || VarlogError.is(error, 'ANOTHER_APPLIER')) return false;
    const look = (signal: AbortSignal): Promise<ReadonlySet<number>> =>
      skipsFrom(this.options.log, this.tag, position, signal);
    const late = (): VarlogError => unidentified(START_MS);
    const { clock } = this.ports;
    const { signal } = this.closing;
    const skips = await inTime(clock, START_MS, signal, look, late).catch(() => undefined);
    if (skips?.has(position) !== true) return false;
    admission.order(skips);
    return true;
  }

  private publish({ decided, reloaded }: Batch, position: number): void {
    const { sessions, requests } = this.applier.admission;
    for (const it of decided) {
      if (it.verdict === 'expired') this.queue.expired(it.session, it.sequence, requests.forgotten);
      else this.queue.settled(it.session, it.sequence, it.outcome);
      if (it.verdict === 'fresh' && this.applied.observed && typeof it.outcome !== 'string') {
        const command = this.codecs.command.decode(it.command);
        const result = resultOf(it.outcome, this.codecs.result);
        this.applied.next({ position: it.position, time: it.time, command, result });
      }
    }
    if (reloaded) {
      this.queue.reconcile(
        // One that was opened behind this batch is still to come.
        (id) => id > position || sessions.has(id),
        (id, sequence) => sessions.outcomeOf(id, sequence),
        requests.forgotten,
      );
    }
    this.advance(position);
  }

  private advance(position: number): void {
    this.at = position;
    this.queue.advance(position);
    this.barrier.advance(position);
    const { foreign, admission } = this.applier;
    this.statuses.update({ position, foreign, skipped: admission.skips });
  }

  private pause(ms: number): Promise<void> {
    const jittered = Math.min(ms, BACKOFF_MS.most) * (0.5 + this.ports.random.fraction() / 2);
    return sleep(this.ports.clock, jittered, this.closing.signal).catch(() => {});
  }
}

/** An error that stays, however often the transaction is repeated. */
function isFinal(error: unknown): boolean {
  return VarlogError.is(error) && !error.retryable;
}
