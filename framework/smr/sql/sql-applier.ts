import type { EntityManager } from 'typeorm';
import {
  Backoff,
  type Clock,
  type LogEntry,
  type Ports,
  SerialQueue,
  VarlogError,
} from '../../base/index.ts';
import type { Admission } from '../admission.ts';
import type { Applier } from '../applier.ts';
import { commandCodecs } from '../codecs.ts';
import type { CommandPlace } from '../log-context.ts';
import { LogFollower } from '../log-follower.ts';
import { restoreTurns } from '../restore-turns.ts';
import { Rules } from '../rules.ts';
import { ApplierLock } from './applier-lock.ts';
import { ApplierTables } from './applier-tables.ts';
import { claimDataSource, type DataSourceClaim } from './data-source-registry.ts';
import { type Dialect, dialectOf } from './dialect.ts';
import { checkSources, prepare } from './prepare-source.ts';
import { applyFailed, headIsGone } from './sql-replica-errors.ts';
import type { SqlReplicaOptions } from './sql-replica-options.ts';
import { type Batch, TransactionApplier } from './transaction-applier.ts';

/** So often, at the most, the log is told how far the database is. */
const HOLD_MS = 5_000;
const BACKOFF_MS = { first: 10, most: 1_000 };

/** Applies to a database, batch by batch, and tries again what the database refused. */
export class SqlApplier<Command, Result> implements Applier {
  readonly follower: LogFollower<Command, Result>;
  /** What uses the connection does so one after the other. */
  readonly turns = new SerialQueue();
  position = 0;
  private readonly options: SqlReplicaOptions<Command, Result>;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly dialect: Dialect;
  private readonly tables: ApplierTables;
  private readonly transactions: TransactionApplier<Command, Result>;
  private holdAgainAt = 0;
  private applierLock: ApplierLock | undefined;
  private claim: DataSourceClaim | undefined;

  constructor(options: SqlReplicaOptions<Command, Result>, ports: Pick<Ports, 'clock' | 'random'>) {
    this.options = options;
    this.ports = ports;
    const rules = new Rules(options.machine);
    const codecs = commandCodecs(options.codec, rules);
    this.dialect = dialectOf(options.dataSource);
    this.tables = new ApplierTables(this.dialect);
    this.transactions = new TransactionApplier({
      machine: options.machine,
      dataSource: options.dataSource,
      dialect: this.dialect,
      tables: this.tables,
      rules,
      codecs,
      limits: options,
      turns: restoreTurns(ports.clock),
    });
    this.follower = new LogFollower({
      options,
      ports,
      codecs,
      applier: this,
      place: (fresh) => this.place(fresh),
    });
  }

  get admission(): Admission {
    return this.transactions.admission;
  }

  /** Opens the database and begins to follow; `clock` measures waits of the start. */
  async start(clock: Clock): Promise<void> {
    const { follower, dialect, tables, turns } = this;
    const { dataSource, reader, takeOverMs = 2_000 } = this.options;
    checkSources(dataSource, reader);
    await follower.identify(clock);
    const claim = await claimDataSource(dataSource, dialect);
    const parts = { dataSource, dialect, tables, turns, takeOverMs };
    const applierLock = new ApplierLock({ ...parts, ...this.ports });
    try {
      // Before its tables are changed.
      await tables.check(dataSource.manager, follower.identity);
      await prepare(dataSource, dialect);
      if (reader?.isInitialized === false) await reader.initialize();
      await applierLock.acquire(follower.identity, clock);
      this.position = await this.transactions.open(applierLock.owner);
    } catch (error) {
      claim.release(applierLock.release());
      throw error;
    }
    this.claim = claim;
    this.applierLock = applierLock;
    follower.begin(this.position);
    this.moveTo(this.position);
    applierLock.keep((error) => follower.fail(error));
  }

  begin(): Promise<void> {
    return this.holdOn((position) => this.follower.hold?.begin(position));
  }

  async apply(entries: readonly LogEntry[], through: number): Promise<void> {
    await this.applyAll(entries);
    if (this.follower.signal.aborted) return;
    // Only what an entry moved the database to is in it.
    if (entries.length > 0) await this.holdOn((position) => this.follower.hold?.move(position));
    this.moveTo(Math.max(this.position, through));
  }

  restore(_state: unknown, position: number): void {
    throw headIsGone(this.position, position);
  }

  /** Runs a transaction between two batches, as the one applier. */
  exclusively<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.turns.run(async () => {
      this.follower.signal.throwIfAborted();
      return (this.applierLock as ApplierLock).exclusively(work);
    });
  }

  /** What could be tried again was. */
  async recover(): Promise<boolean> {
    return false;
  }

  end(following: Promise<void>): Promise<void> {
    const { turns, applierLock, claim } = this;
    const released = following.then(() => turns.run(async () => applierLock?.release()));
    claim?.release(released);
    return released;
  }

  /** Tells the log, now and then, what is on disk here and so not needed any more. */
  private async holdOn(tell: (position: number) => Promise<void> | void): Promise<void> {
    const now = this.ports.clock.now();
    if (this.follower.hold === undefined || now < this.holdAgainAt) return;
    this.holdAgainAt = now + HOLD_MS;
    const { position, dialect, turns, options } = this;
    const isOnDisk = await turns.run(() => dialect.flush(options.dataSource)).catch(() => false);
    if (isOnDisk) await tell(position);
  }

  private place(fresh: string): Promise<string> {
    const { tables, turns, options } = this;
    return turns.run(() => options.dataSource.transaction((it) => tables.place(it, fresh)));
  }

  private async applyAll(entries: readonly LogEntry[]): Promise<void> {
    const { batchMax = 200, attemptsMax = 10 } = this.options;
    let done = 0;
    let attempts = 0;
    const backoff = new Backoff(this.ports.random, BACKOFF_MS.first, BACKOFF_MS.most);
    // Behind a failure go single commands, so that all before the one at fault are committed.
    let singleUntil = 0;
    while (done < entries.length && !this.follower.signal.aborted) {
      const first = entries[done] as LogEntry;
      const count = first.position <= singleUntil ? 1 : batchMax;
      const batch = entries.slice(done, done + count);
      try {
        const applied = await this.turns.run(() => this.transactions.apply(batch));
        done += batch.length;
        attempts = 0;
        backoff.reset();
        this.publish(applied, (batch.at(-1) as LogEntry).position);
      } catch (error) {
        const { at } = this.transactions;
        singleUntil = Math.max(singleUntil, at.position);
        const final = isFinal(error) || ++attempts >= attemptsMax;
        if (final && !(await this.isSkipped(at, error)))
          throw isFinal(error) ? error : applyFailed(at, attempts, error);
        if (final) {
          attempts = 1;
          backoff.reset();
        }
        await backoff.pause(this.ports.clock, this.follower.signal);
      }
    }
  }

  private async isSkipped({ position, timer }: Place, error: unknown): Promise<boolean> {
    if (VarlogError.is(error, 'ANOTHER_APPLIER')) return false;
    return this.follower.isSkipped(position, timer);
  }

  private publish({ decided, reloaded }: Batch, position: number): void {
    const { follower, admission } = this;
    const { queue } = follower;
    for (const it of decided) {
      if (it.verdict === 'expired') queue.expired(it.session, admission.requests.forgotten);
      else if (it.verdict === 'settled') queue.resolve(it.session, it.sequence, it.outcome);
      else {
        if (it.verdict === 'fresh') queue.resolve(it.session, it.sequence, it.applied.outcome);
        follower.announce(it.applied);
      }
    }
    if (reloaded) follower.reconcile(position);
    this.moveTo(position);
  }

  private moveTo(position: number): void {
    this.position = position;
    const { foreign, admission } = this.transactions;
    const { skips: skipped, rules, timers } = admission;
    const facts = { foreign, skipped, rules: rules.inForce, timers: timers.status };
    this.follower.advance(position, facts);
  }
}

type Place = Pick<CommandPlace, 'position' | 'timer'>;

/** An error that stays, however often the transaction is repeated. */
function isFinal(error: unknown): boolean {
  return VarlogError.is(error) && !error.retryable;
}
