import { BehaviorSubject, type Observable, Subject } from 'rxjs';
import {
  type Codec,
  type LogCallOptions,
  type LogEntry,
  type OrderedLog,
  type Ports,
  sleep,
  VarlogError,
} from '../base/index.ts';
import { Snapshot as SnapshotMessage } from '../wire/gen/smr.ts';
import { Admission, type AdmissionLimits } from './admission.ts';
import { jsonCodec, type ReplicaCodecs } from './codecs.ts';
import { CommandQueue, type ExecuteOptions } from './command-queue.ts';
import { LogContext } from './log-context.ts';
import { checkedName, checkIdentity, identityOf, type LogIdentity, tagOf } from './log-identity.ts';
import type { Outcome } from './outcome.ts';
import { ReadBarrier } from './read-barrier.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import type { StateMachine } from './state-machine.ts';

const FORMAT = 2;
const START_MS = 30_000;
const RETRY_MS = 200;
const CLOSE_MS = 1_000;

/** How fresh a query's answer must be. `linearizable`: it sees all that was acknowledged to anyone before. */
export type Consistency = 'linearizable' | 'stale' | { readonly atLeast: number };

export interface Applied<Command, Result> {
  readonly position: number;
  readonly time: number;
  readonly command: Command;
  readonly result: Result;
}

export interface ReplicaStatus {
  readonly state: 'running' | 'failed' | 'closed';
  readonly position: number;
  /** Records of others in this log that were passed over since the start. */
  readonly foreign: number;
  readonly error?: unknown;
}

export interface ReplicaOptions<Command, Result, Snapshot, Machine> extends AdmissionLimits {
  machine: Machine & StateMachine<Command, Result, Snapshot>;
  log: OrderedLog;
  /**
   * Name of the machine, equal on all its replicas and for ever: its commands and snapshots carry it, and what another
   * machine wrote into the same log is passed over. Default: `machine`.
   */
  name?: string;
  codec?: ReplicaCodecs<Command, Result, Snapshot>;
  /** Entries between snapshots. Default: none are made. */
  snapshotEvery?: number;
  /** For logs without `compact`. */
  snapshots?: SnapshotStore;
  /** Bytes of commands that may wait. Default: 16 MiB. */
  queueBytesMax?: number;
  /** Called after each batch and each restored snapshot, before anything else is applied. */
  onApplied?: (batch: { readonly kind: 'entries' | 'snapshot'; readonly position: number }) => void;
}

/** A machine that follows a log. Made by `startReplica`. */
export class Replica<Command, Result, Machine> {
  readonly applied$: Observable<Applied<Command, Result>>;
  /** The machine, now and after each batch. */
  readonly state$: Observable<Machine>;
  readonly status$: Observable<ReplicaStatus>;
  private readonly options: ReplicaOptions<Command, Result, unknown, Machine>;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly commandCodec: Codec<Command>;
  private readonly snapshotCodec: Codec<unknown>;
  private readonly resultCodec: Codec<Result>;
  private readonly admission: Admission;
  private readonly queue: CommandQueue<Command, Result>;
  private readonly barrier: ReadBarrier;
  private readonly closing = new AbortController();
  private readonly applied = new Subject<Applied<Command, Result>>();
  private readonly states: BehaviorSubject<Machine>;
  private readonly statuses = new BehaviorSubject<ReplicaStatus>({
    state: 'running',
    position: 0,
    foreign: 0,
  });
  private readonly context = new LogContext();
  private readonly name: string;
  /** Unknown until the log has said which one it is. */
  private identity: LogIdentity | undefined;
  private foreign = 0;
  private at = 0;
  private sinceSnapshot = 0;
  private snapshotting: Promise<void> | undefined;
  private following: Promise<void> = Promise.resolve();
  private ended = false;

  constructor(
    options: ReplicaOptions<Command, Result, unknown, Machine>,
    ports: Pick<Ports, 'clock' | 'random'>,
  ) {
    this.options = options;
    this.ports = ports;
    this.name = checkedName(options.name ?? 'machine');
    this.commandCodec = options.codec?.command ?? jsonCodec<Command>();
    this.snapshotCodec = options.codec?.snapshot ?? jsonCodec<unknown>();
    this.resultCodec = options.codec?.result ?? jsonCodec<Result>();
    this.admission = new Admission(options);
    this.queue = new CommandQueue(
      options.log,
      ports,
      { command: this.commandCodec, result: this.resultCodec },
      options.queueBytesMax ?? 16 * 1024 * 1024,
    );
    this.barrier = new ReadBarrier(options.log, ports.clock, (error) => this.fail(error));
    this.states = new BehaviorSubject<Machine>(options.machine);
    this.applied$ = this.applied.asObservable();
    this.state$ = this.states.asObservable();
    this.status$ = this.statuses.asObservable();
  }

  /**
   * Restores the stored snapshot and begins to follow. For `startReplica`. Only a stored snapshot makes it wait for the
   * log to say which one it is.
   */
  async start(): Promise<void> {
    try {
      const stored = await this.options.snapshots?.load();
      if (stored !== undefined) {
        await this.identifyInTime();
        this.restore(stored.state, 'the stored snapshot');
        this.barrier.begin(this.at);
      }
    } catch (error) {
      this.fail(error);
      throw error;
    }
    this.following = this.follow();
  }

  /** As of `position`: a stale view. To be looked at, not changed. */
  get machine(): Machine {
    return this.options.machine;
  }

  /** All commands up to here have been applied. */
  get position(): number {
    return this.at;
  }

  /**
   * Runs a command through the log and resolves with its result: exactly once, however often it had to
   * be sent, and with a `requestId` however often the caller repeats it, here or elsewhere. Rejects with `SESSION_EXPIRED`, `TIMEOUT`, `RESOURCE_EXHAUSTED`, `CLOSED`, or
   * `signal.reason`; after a timeout or an abort the command may still take effect, once.
   */
  execute(command: Command, options: ExecuteOptions = {}): Promise<Result> {
    return this.queue.execute(command, options);
  }

  /** Looks at the machine. Default: linearizable. The machine must not be changed or kept. */
  async query<T>(
    look: (machine: Machine) => T,
    options: LogCallOptions & { consistency?: Consistency } = {},
  ): Promise<T> {
    const consistency = options.consistency ?? 'linearizable';
    if (consistency === 'linearizable') await this.barrier.latest(options);
    else if (consistency !== 'stale') await this.barrier.reached(consistency.atLeast, options);
    return look(this.options.machine);
  }

  /** Resolves when all that was committed before this call has been applied here. */
  caughtUp(options: LogCallOptions = {}): Promise<void> {
    return this.barrier.latest(options);
  }

  /** Stops following. Commands without a result are rejected. Leaves the log open. */
  async close(): Promise<void> {
    this.end(this.status('closed'), closedError());
    const settled = new AbortController();
    const limit = sleep(this.ports.clock, CLOSE_MS, settled.signal).catch(() => {});
    await Promise.race([Promise.all([this.following, this.snapshotting]), limit]);
    settled.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private end(status: ReplicaStatus, error: unknown): void {
    if (this.ended) return;
    this.ended = true;
    this.closing.abort();
    this.queue.stop(error);
    this.barrier.stop(error);
    this.statuses.next(status);
    this.applied.complete();
    this.states.complete();
    this.statuses.complete();
  }

  private async identifyInTime(): Promise<void> {
    const limit = new AbortController();
    const late = sleep(this.ports.clock, START_MS, limit.signal).then(() => {
      throw unidentified();
    });
    await Promise.race([this.identify(limit.signal), late]).finally(() => limit.abort());
  }

  private async identify(signal: AbortSignal): Promise<void> {
    if (this.identity !== undefined) return;
    const log = await identityOf(this.options.log, this.ports.clock, signal);
    this.identity = { log, machine: this.name };
    const tag = tagOf(this.identity);
    this.admission.bind(tag);
    this.queue.bind(tag);
  }

  private fail(error: unknown): void {
    this.end(this.status('failed', error), error);
  }

  private async follow(): Promise<void> {
    const { signal } = this.closing;
    // A log that ends before the state that it began with is found even when nobody asks.
    this.caughtUp({ signal }).catch(() => {});
    while (!signal.aborted) {
      try {
        await this.identify(signal);
        for await (const it of this.options.log.follow(this.at + 1, { signal })) {
          if (signal.aborted) return;
          if (it.kind === 'snapshot') this.restore(it.state, "the log's snapshot");
          else this.applyAll(it.entries, it.through);
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

  private applyAll(entries: readonly LogEntry[], through: number): void {
    for (const entry of entries) {
      if (entry.position > this.at) this.applyOne(entry);
    }
    this.at = Math.max(this.at, through);
    this.sinceSnapshot += entries.length;
    this.afterBatch('entries');
    if (this.sinceSnapshot >= (this.options.snapshotEvery ?? Number.POSITIVE_INFINITY))
      this.snapshot();
  }

  private applyOne(entry: LogEntry): void {
    const { admission, queue } = this;
    const verdict = admission.admit(entry);
    this.at = entry.position;
    if (verdict === 'foreign') this.foreign++;
    else if (verdict === 'fresh') this.run(entry.position);
    else if (verdict === 'settled')
      queue.settled(admission.session, admission.sequence, admission.outcome);
    else if (verdict === 'expired')
      queue.expired(admission.session, admission.sequence, admission.requests.forgotten);
  }

  private run(position: number): void {
    const { admission, context, commandCodec, resultCodec } = this;
    const { session, sequence, time, command } = admission;
    context.begin(position, time);
    const outcome = this.outcomeOf(command);
    admission.settle(outcome);
    this.queue.settled(session, sequence, outcome);
    if (!this.applied.observed || typeof outcome === 'string') return;
    // Values of their own: the machine may have kept those that it was given, or gave.
    const [given, result] = [commandCodec.decode(command), resultCodec.decode(outcome)];
    this.applied.next({ position, time, command: given, result });
  }

  private outcomeOf(bytes: Uint8Array): Outcome {
    const result = this.apply(this.commandCodec.decode(bytes));
    try {
      return this.resultCodec.encode(result);
    } catch {
      return 'unencodable';
    }
  }

  private apply(command: Command): Result {
    const { position } = this.context;
    try {
      return this.options.machine.apply(command, this.context);
    } catch (cause) {
      throw new VarlogError('APPLY_FAILED', {
        what: `the machine threw on the command at position ${position}`,
        because: 'a refused command must be a result; an exception is a bug in the machine',
        next: 'correct the machine and start the replica again: it resumes with this command',
        details: { position },
        cause,
      });
    }
  }

  private afterBatch(kind: 'entries' | 'snapshot'): void {
    this.options.onApplied?.({ kind, position: this.at });
    this.queue.advance(this.at);
    this.barrier.advance(this.at);
    this.statuses.next(this.status('running'));
    this.states.next(this.options.machine);
  }

  private status(state: ReplicaStatus['state'], error?: unknown): ReplicaStatus {
    const { at: position, foreign } = this;
    return { state, position, foreign, ...(error === undefined ? {} : { error }) };
  }

  private restore(bytes: Uint8Array, what: string): void {
    const decoded = SnapshotMessage.decode(bytes);
    const { format, position, state, log, machine } = decoded;
    if (format !== FORMAT) {
      throw new VarlogError('CORRUPT', {
        what: `a snapshot has format ${format}, and this version reads format ${FORMAT}`,
        next: 'run a version that is at least as new as the one that wrote it',
      });
    }
    checkIdentity({ log, machine }, this.identity as LogIdentity, what);
    if (position <= this.at) return;
    this.options.machine.restore(this.snapshotCodec.decode(state));
    this.admission.restore(decoded);
    this.at = position;
    this.sinceSnapshot = 0;
    this.queue.reconcile(
      // One that was opened behind the snapshot is still to come.
      (id) => id > position || this.admission.sessions.has(id),
      (id, sequence) => this.admission.sessions.outcomeOf(id, sequence),
      this.admission.requests.forgotten,
    );
    this.afterBatch('snapshot');
  }

  private snapshot(): void {
    const { log, snapshots, machine } = this.options;
    if (this.snapshotting !== undefined || this.identity === undefined) return;
    this.sinceSnapshot = 0;
    const position = this.at;
    const bytes = SnapshotMessage.encode(
      SnapshotMessage.create({
        format: FORMAT,
        ...this.identity,
        position,
        ...this.admission.encode(),
        state: this.snapshotCodec.encode(machine.snapshot()),
      }),
    );
    const saved =
      snapshots?.save(position, bytes) ?? log.compact?.(position, bytes) ?? Promise.resolve();
    // One that failed is made up for by the next.
    const done = (): void => {
      this.snapshotting = undefined;
    };
    this.snapshotting = saved.then(done, done);
  }
}

function closedError(): VarlogError {
  return new VarlogError('CLOSED', { what: 'the replica is closed', next: 'start a new one' });
}

function unidentified(): VarlogError {
  return new VarlogError('UNREACHABLE', {
    what: `the log did not say within ${START_MS} ms which one it is`,
    because: 'a stored snapshot is served only when it is known to be of this log',
    next: 'see whether the log has a quorum, and start the replica again',
  });
}
