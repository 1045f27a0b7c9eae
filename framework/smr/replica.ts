import type { Observable } from 'rxjs';
import { checkFunctions, type LogCallOptions, type Ports } from '../base/index.ts';
import { checkCall } from './call-options.ts';
import type { ChangeEvent, ChangesOptions } from './change-history.ts';
import type { ExecuteOptions } from './execute-options.ts';
import type { LogFollower } from './log-follower.ts';
import { MemoryApplier } from './memory-applier.ts';
import type { Applied, Consistency, ReplicaOptions } from './replica-options.ts';
import type { ReplicaStatus } from './replica-status.ts';
import type { SpeculateOptions, Speculation, SpeculationEvent } from './speculation.ts';

/** A machine that follows a log. Made by `startReplica`. */
export class Replica<Command, Result, Machine> {
  /** Each command when it has taken effect. Errors when the replica fails. */
  readonly applied$: Observable<Applied<Command, Result>>;
  /** The machine, now and after each batch. Errors when the replica fails. */
  readonly state$: Observable<Machine>;
  /** How the replica fares, now and from now on. Completes after `failed` or `closed`. */
  readonly status$: Observable<ReplicaStatus>;
  /** What became of each {@link speculate} of this replica, in the order of the log. Completes when the replica ends. */
  readonly speculations$: Observable<SpeculationEvent<Command, Result>>;
  private readonly applier: MemoryApplier<Command, Result, Machine>;
  private readonly follower: LogFollower<Command, Result>;

  constructor(
    options: ReplicaOptions<Command, Result, unknown, Machine>,
    ports: Pick<Ports, 'clock' | 'random'>,
  ) {
    this.applier = new MemoryApplier(options, ports);
    this.follower = this.applier.follower;
    this.applied$ = this.follower.applied$;
    this.state$ = this.applier.states.asObservable();
    this.status$ = this.follower.status$;
    this.speculations$ = this.applier.speculator.settled$;
  }

  /**
   * Restores the stored snapshot and begins to follow. For `startReplica`. Only a stored snapshot makes it wait for the
   * log to say which one it is.
   */
  start(): Promise<void> {
    return this.applier.start();
  }

  /**
   * As of `position`: a stale view. To be looked at, not changed. Where a command failed in the middle it is not whole until the
   * replica goes on: queries wait for that.
   */
  get machine(): Machine {
    return this.applier.machine;
  }

  /** All commands up to here have been applied. */
  get position(): number {
    return this.applier.position;
  }

  /**
   * Runs a command through the log and resolves with its result: exactly once, however often it had to be sent, and
   * with a `requestId` however often the caller repeats it, here or elsewhere. Rejects with `SESSION_EXPIRED`,
   * `TIMEOUT`, `RESOURCE_EXHAUSTED`, `FAILED_PRECONDITION` where the replica is read-only, `REQUEST_MISMATCH`, `CLOSED`, the error of a replica that failed, or
   * `signal.reason`; after a timeout or an abort the command may still take effect, once.
   */
  execute(command: Command, options: ExecuteOptions = {}): Promise<Result> {
    return this.follower.queue.execute(command, options);
  }

  /**
   * Runs a command through the log like {@link execute}, and resolves at once with a tentative answer: what it comes to if nothing
   * takes effect before it but what this replica has under way. `settled` says later whether that was right. Of the context, `position`,
   * `index`, `time` and `random` are guesses. The machine must have a `fork()` (`FAILED_PRECONDITION`). Rejects, and sends nothing, with what
   * `execute` would refuse; with `APPLY_FAILED` where the machine throws; and with `UNAVAILABLE` while the replica takes over a snapshot.
   *
   * ```ts
   * const { tentative, settled } = await replica.speculate({ add: 1 });
   * show(tentative);
   * const { kind, result } = await settled;
   * if (kind === 'rolledBack') show(result);
   * ```
   */
  speculate(command: Command, options: SpeculateOptions = {}): Promise<Speculation<Result>> {
    return this.applier.speculator.speculate(command, options);
  }

  /**
   * Looks at the machine. Default: linearizable. `speculative`: as {@link speculate} sees it, with all that this replica has under
   * way, which may turn out otherwise. The machine must not be changed or kept. Rejects with `TIMEOUT` where the
   * replica cannot show in time that its state is as fresh as was asked for, `INVALID_ARGUMENT`, `CLOSED`, the error of a
   * replica that failed, an error of the log that will not change, or `signal.reason`.
   */
  async query<T>(
    look: (machine: Machine) => T,
    options: LogCallOptions & { consistency?: Consistency | 'speculative' } = {},
  ): Promise<T> {
    checkFunctions({ look });
    checkCall(options, 'query');
    const { consistency, ...limits } = options;
    const { machine, speculator } = this.applier;
    if (consistency === 'speculative') {
      await this.follower.fresh({ ...limits, consistency: 'stale' });
      return speculator.look(look);
    }
    await this.follower.fresh({ ...limits, ...(consistency !== undefined && { consistency }) });
    return look(machine);
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

  /**
   * Has all replicas apply what follows by this version of the machine's rules: see `ApplyContext.rules`. Call it once all
   * of them run code that knows the version, which must be this one's too (`INVALID_ARGUMENT`): those that do not know it
   * stop at the entry. Resolves with the version in force when this replica is there, at once where that is as high
   * already. Rejects like `execute`; it may be repeated.
   */
  upgradeTo(rules: number, options: LogCallOptions = {}): Promise<number> {
    return this.follower.upgradeTo(rules, options);
  }

  /**
   * Has a snapshot kept of all that is applied here now, or more, whatever the schedule says: resolves with its position
   * (0: nothing was applied yet). Rejects with `INVALID_ARGUMENT` where there is no place for it, with why it could not be
   * kept, `TIMEOUT`, `CLOSED`, the error of a replica that failed, or `signal.reason`.
   */
  snapshot(options: LogCallOptions = {}): Promise<number> {
    return this.applier.snapshot(options);
  }

  /**
   * Stops following. Commands without a result are rejected. Leaves the log open. With `snapshot`, one is kept before, so
   * that the next start has nothing to catch up with: where that fails, the replica is closed all the same, and this
   * rejects as {@link snapshot} does.
   */
  async close(options: LogCallOptions & { snapshot?: boolean } = {}): Promise<void> {
    try {
      checkCall(options, 'close');
      const { snapshot = false, ...limits } = options;
      if (snapshot) await this.snapshot(limits);
    } finally {
      await this.follower.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
