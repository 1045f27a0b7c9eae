import type { Observable } from 'rxjs';
import type { EntityManager } from 'typeorm';
import { type Clock, checkFunctions, type LogCallOptions, type Ports } from '../../base/index.ts';
import { checkCall } from '../call-options.ts';
import type { ChangeEvent, ChangesOptions } from '../change-history.ts';
import type { ExecuteOptions } from '../execute-options.ts';
import type { LogFollower } from '../log-follower.ts';
import type { Applied, Consistency } from '../replica-options.ts';
import type { ReplicaStatus } from '../replica-status.ts';
import { SqlApplier } from './sql-applier.ts';
import type { SqlReplicaOptions } from './sql-replica-options.ts';

/** A machine in a SQL database that follows a log. Made by `startSqlReplica`. */
export class SqlReplica<Command, Result> {
  /** Each command when its transaction has been committed. */
  readonly applied$: Observable<Applied<Command, Result>>;
  readonly status$: Observable<ReplicaStatus>;
  private readonly options: SqlReplicaOptions<Command, Result>;
  private readonly applier: SqlApplier<Command, Result>;
  private readonly follower: LogFollower<Command, Result>;

  constructor(options: SqlReplicaOptions<Command, Result>, ports: Pick<Ports, 'clock' | 'random'>) {
    this.options = options;
    this.applier = new SqlApplier(options, ports);
    this.follower = this.applier.follower;
    this.applied$ = this.follower.applied$;
    this.status$ = this.follower.status$;
  }

  /** Opens the database and begins to follow; `clock` measures waits of the start. For `startSqlReplica`. */
  start(clock: Clock): Promise<void> {
    return this.applier.start(clock);
  }

  /** All commands up to here have been applied and committed. */
  get position(): number {
    return this.applier.position;
  }

  /** Runs a command through the log and resolves with its result: like `Replica.execute`. */
  execute(command: Command, options: ExecuteOptions = {}): Promise<Result> {
    return this.follower.queue.execute(command, options);
  }

  /**
   * Looks at the database. Default: linearizable. It must not be changed, nor the manager kept. Without
   * a `reader`, nothing is applied before `look` is done: it must not wait for this replica.
   */
  async query<T>(
    look: (manager: EntityManager) => Promise<T>,
    options: LogCallOptions & { consistency?: Consistency } = {},
  ): Promise<T> {
    checkFunctions({ look });
    checkCall(options, 'query');
    await this.follower.fresh(options);
    const { dataSource, reader } = this.options;
    if (reader !== undefined) return look(reader.manager);
    return this.applier.turns.run(() => look(dataSource.manager));
  }

  /**
   * Runs `work` in a transaction that takes effect only while this replica is the one that applies to the database: nobody
   * takes over before it ends. For what belongs to the database, but not to the machine, such as which of several
   * databases is used: the machine's tables must not be changed. Nothing is applied meanwhile. Rejects with `ANOTHER_APPLIER`
   * where another replica has taken over, `CLOSED`, the error of a replica that failed, or what `work` rejects with.
   */
  exclusively<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.applier.exclusively(work);
  }

  /**
   * Reads what the machine emits, at the reader's own pace, without an end: the same at every replica. It ends when the replica
   * is closed, and throws what it failed with. Throws `TRIMMED` where changes from there on are not kept, or not any more: read
   * the state by a query, with `position`, and go on after that.
   */
  changes<Change = unknown>(options: ChangesOptions = {}): AsyncIterable<ChangeEvent<Change>> {
    return this.follower.changes.read(options);
  }

  /** The same as an Observable. It has no backpressure: what is slow with an event uses {@link changes}. */
  changes$<Change = unknown>(
    options: Omit<ChangesOptions, 'signal'> = {},
  ): Observable<ChangeEvent<Change>> {
    return this.follower.changes.read$(options);
  }

  /** Resolves when all that was committed before this call has been applied here. */
  caughtUp(options: LogCallOptions = {}): Promise<void> {
    return this.follower.caughtUp(options);
  }

  /** Has all replicas apply what follows by this version of the machine's rules: like `Replica.upgradeTo`. */
  upgradeTo(rules: number, options: LogCallOptions = {}): Promise<number> {
    return this.follower.upgradeTo(rules, options);
  }

  /** Stops following. Commands without a result are rejected. Leaves the log and the database open. */
  close(): Promise<void> {
    return this.follower.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
