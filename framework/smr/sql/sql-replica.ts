import { type Observable, Subject } from 'rxjs';
import type { DataSource, EntityManager } from 'typeorm';
import {
  type Codec,
  type LogCallOptions,
  type LogEntry,
  type OrderedLog,
  type Ports,
  sleep,
  VarlogError,
} from '../../base/index.ts';
import type { AdmissionLimits } from '../admission.ts';
import { jsonCodec, type ReplicaCodecs } from '../codecs.ts';
import { CommandQueue, type ExecuteOptions } from '../command-queue.ts';
import { Deadlines } from '../deadlines.ts';
import { checkedName, identityOf, tagOf } from '../log-identity.ts';
import { resultOf } from '../outcome.ts';
import { ReadBarrier } from '../read-barrier.ts';
import { closedError } from '../replica-errors.ts';
import type { Applied, Consistency } from '../replica-options.ts';
import { type ReplicaStatus, ReplicaStatuses } from '../replica-status.ts';
import { ApplierTables } from './applier-tables.ts';
import { dialectOf } from './dialect.ts';
import { type Batch, SqlApplier } from './sql-applier.ts';
import type { SqlStateMachine } from './sql-state-machine.ts';
import { Turns } from './turns.ts';

const RETRY_MS = 200;
const CLOSE_MS = 1_000;
const BACKOFF_MS = { first: 10, most: 1_000 };

export interface SqlReplicaOptions<Command, Result> extends AdmissionLimits {
  machine: SqlStateMachine<Command, Result>;
  /**
   * Where the state lies: better-sqlite3 or Postgres, for this replica alone. Its `migrations` hold
   * `sqlReplicaMigrations`; `synchronize` is off. It is initialized and migrated where it is not yet,
   * and left open.
   */
  dataSource: DataSource;
  /** A second way to the same database, for queries. Without it they wait for their turn between batches. */
  reader?: DataSource;
  log: OrderedLog;
  /** Tells several machines in one database apart. Default: `machine`. */
  name?: string;
  codec?: Pick<ReplicaCodecs<Command, Result, never>, 'command' | 'result'>;
  /** So many commands share one transaction at most. Default: 200. */
  batchMax?: number;
  /** A command that failed so often stops the replica. Default: 10, in about five seconds. */
  attemptsMax?: number;
  /** How long a call that names no limit may take, in milliseconds. Default: 30,000. */
  callTimeoutMs?: number;
  /** Bytes of commands that may wait. Default: 16 MiB. */
  queueBytesMax?: number;
}

/** A machine in a SQL database that follows a log. Made by `startSqlReplica`. */
export class SqlReplica<Command, Result> {
  /** Each command when its transaction has been committed. */
  readonly applied$: Observable<Applied<Command, Result>>;
  readonly status$: Observable<ReplicaStatus>;
  private readonly options: SqlReplicaOptions<Command, Result>;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly resultCodec: Codec<Result>;
  private readonly applier: SqlApplier<Command, Result>;
  private readonly queue: CommandQueue<Command, Result>;
  private readonly barrier: ReadBarrier;
  private readonly turns = new Turns();
  private readonly closing = new AbortController();
  private readonly applied = new Subject<Applied<Command, Result>>();
  private readonly statuses = new ReplicaStatuses();
  private readonly deadlines: Deadlines;
  private at = 0;
  private following: Promise<void> = Promise.resolve();
  private identified = false;

  constructor(options: SqlReplicaOptions<Command, Result>, ports: Pick<Ports, 'clock' | 'random'>) {
    this.options = options;
    this.ports = ports;
    const command = options.codec?.command ?? jsonCodec<Command>();
    this.resultCodec = options.codec?.result ?? jsonCodec<Result>();
    const result = this.resultCodec;
    this.applier = new SqlApplier({
      machine: options.machine,
      dataSource: options.dataSource,
      tables: new ApplierTables(options.name ?? 'machine', dialectOf(options.dataSource)),
      command,
      result,
      limits: options,
    });
    const { log } = options;
    const codecs = { command, result };
    const deadlines = new Deadlines(ports.clock, options.callTimeoutMs ?? 30_000);
    this.deadlines = deadlines;
    const bytesMax = options.queueBytesMax ?? 16 * 1024 * 1024;
    this.queue = new CommandQueue(log, ports, codecs, bytesMax, deadlines, this.statuses);
    this.barrier = new ReadBarrier(log, ports.clock, deadlines, this.statuses, (error) =>
      this.fail(error),
    );
    this.applied$ = this.applied.asObservable();
    this.status$ = this.statuses.status$;
  }

  /** Opens the database and begins to follow. For `startSqlReplica`. */
  async start(): Promise<void> {
    await prepare(this.options.dataSource);
    if (this.options.reader?.isInitialized === false) await this.options.reader.initialize();
    this.at = await this.applier.open();
    this.advance(this.at);
    this.following = this.follow();
  }

  /** All commands up to here have been applied and committed. */
  get position(): number {
    return this.at;
  }

  /** Runs a command through the log and resolves with its result: like `Replica.execute`. */
  async execute(command: Command, options: ExecuteOptions = {}): Promise<Result> {
    if (options.requestId !== undefined) {
      throw new VarlogError('UNIMPLEMENTED', {
        what: 'a machine in a SQL database takes no request ids',
        next: "keep them in the machine's own tables",
        outcome: 'notAppended',
      });
    }
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
    await Promise.race([this.following, limit]);
    settled.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private fail(error: unknown): void {
    if (this.statuses.ended) return;
    this.end('failed', error);
    if (VarlogError.is(error)) this.options.log.abstain?.(error);
  }

  private end(state: 'failed' | 'closed', error: unknown): void {
    if (this.statuses.ended) return;
    this.statuses.end(state, state === 'failed' ? error : undefined);
    this.closing.abort();
    this.queue.stop(error);
    this.barrier.stop(error);
    this.deadlines.stop();
    if (state === 'failed') this.applied.error(error);
    else this.applied.complete();
  }

  private async identify(): Promise<void> {
    if (this.identified) return;
    const { log, name } = this.options;
    const { clock } = this.ports;
    const identity = await identityOf(log, clock, this.closing.signal, (error) =>
      this.statuses.lost(error),
    );
    const tag = tagOf({ log: identity, machine: checkedName(name ?? 'machine') });
    this.applier.bind(tag);
    this.queue.bind(tag);
    this.identified = true;
  }

  private async follow(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      try {
        await this.identify();
        for await (const it of this.options.log.follow(this.at + 1, { signal })) {
          if (signal.aborted) return;
          if (it.kind === 'snapshot') throw headIsGone(this.at, it.position);
          await this.applyAll(it.entries);
          if (signal.aborted) return;
          this.advance(Math.max(this.at, it.through));
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!VarlogError.is(error) || !error.retryable) {
          this.fail(error);
          return;
        }
      }
      await sleep(this.ports.clock, RETRY_MS, signal).catch(() => {});
    }
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
        singleUntil = Math.max(singleUntil, this.applier.at);
        if (isFinal(error)) throw error;
        if (++attempts >= (this.options.attemptsMax ?? 10))
          throw applyFailed(this.applier.at, attempts, error);
        await this.pause(BACKOFF_MS.first * 2 ** (attempts - 1));
      }
    }
  }

  private publish({ decided, reloaded }: Batch<Command>, position: number): void {
    const { sessions, requests } = this.applier.admission;
    for (const it of decided) {
      if (it.verdict === 'expired') this.queue.expired(it.session, it.sequence, requests.forgotten);
      else this.queue.settled(it.session, it.sequence, it.outcome);
      if (it.verdict === 'fresh' && this.applied.observed && typeof it.outcome !== 'string') {
        const { time, command, outcome } = it;
        const result = resultOf(outcome, this.resultCodec);
        this.applied.next({ position: it.position, time, command, result });
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
    this.statuses.update({ position, foreign: this.applier.foreign });
  }

  private pause(ms: number): Promise<void> {
    const jittered = Math.min(ms, BACKOFF_MS.most) * (0.5 + this.ports.random.fraction() / 2);
    return sleep(this.ports.clock, jittered, this.closing.signal).catch(() => {});
  }
}

async function prepare(dataSource: DataSource): Promise<void> {
  const { synchronize } = dataSource.options;
  if (synchronize === true) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: 'the DataSource of a replica has synchronize switched on',
      because: 'it would change the tables, and with them the replicated state, at every start',
      next: 'switch it off and describe the tables in migrations',
    });
  }
  if (!dataSource.isInitialized) await dataSource.initialize();
  // One log for writers and readers: a reader neither waits for the applier nor makes it wait.
  if (dialectOf(dataSource).kind === 'sqlite') await dataSource.query('PRAGMA journal_mode = WAL');
  await dataSource.runMigrations({ transaction: 'each' });
}

/** An error that stays, however often the transaction is repeated. */
function isFinal(error: unknown): boolean {
  return VarlogError.is(error) && !error.retryable;
}

function applyFailed(position: number, attempts: number, cause: unknown): VarlogError {
  return new VarlogError('APPLY_FAILED', {
    what: `the command at position ${position} could not be applied in ${attempts} attempts`,
    because: 'the database failed, or the machine threw: a refused command must be a result',
    next: 'see the cause, correct it and start the replica again: it resumes with this command',
    details: { position, attempts },
    cause,
  });
}

function headIsGone(position: number, snapshotPosition: number): VarlogError {
  return new VarlogError('TRIMMED', {
    what: `the log begins behind position ${snapshotPosition}, and this database is at ${position}`,
    because: 'the log was compacted further than this replica had come',
    next: "start it with a copy of another replica's database",
    details: { firstAvailable: snapshotPosition + 1, position },
  });
}
