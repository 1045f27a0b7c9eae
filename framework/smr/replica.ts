import { type Observable, ReplaySubject, Subject } from 'rxjs';
import {
  type Codec,
  type LogCallOptions,
  type LogEntry,
  type Ports,
  reasonOf,
  sleep,
  VarlogError,
} from '../base/index.ts';
import { Admission, NOTHING_ADMITTED } from './admission.ts';
import { jsonCodec } from './codecs.ts';
import { CommandQueue, type ExecuteOptions } from './command-queue.ts';
import { Deadlines, inTime } from './deadlines.ts';
import { LogContext } from './log-context.ts';
import { LogHold } from './log-hold.ts';
import { checkedName, identityOf, type LogIdentity, tagOf } from './log-identity.ts';
import { MachineRunner } from './machine-runner.ts';
import { ReadBarrier } from './read-barrier.ts';
import { cannotStartOver, closedError, unidentified } from './replica-errors.ts';
import type { Applied, Consistency, ReplicaOptions } from './replica-options.ts';
import { type ReplicaStatus, ReplicaStatuses } from './replica-status.ts';
import { skipsFrom } from './skip-command.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot-format.ts';
import { SnapshotKeeper } from './snapshot-keeper.ts';
import type { SnapshotLock } from './snapshot-store.ts';
import type { StateMachine } from './state-machine.ts';

const START_MS = 30_000;
const CALL_MS = 30_000;
const RETRY_MS = 200;
const CLOSE_MS = 1_000;
/** So often a replica whose status somebody watches makes sure that the log answers. */
const PROBE_MS = 5_000;

/** A machine that follows a log. Made by `startReplica`. */
export class Replica<Command, Result, Machine> {
  /** Each command when it has taken effect. Errors when the replica fails. */
  readonly applied$: Observable<Applied<Command, Result>>;
  /** The machine, now and after each batch. Errors when the replica fails. */
  readonly state$: Observable<Machine>;
  /** How the replica fares, now and from now on. Completes behind `failed` or `closed`. */
  readonly status$: Observable<ReplicaStatus>;
  private readonly options: ReplicaOptions<Command, Result, unknown, Machine>;
  private readonly ports: Pick<Ports, 'clock' | 'random'>;
  private readonly codecs: { command: Codec<Command>; result: Codec<Result> };
  private readonly snapshotCodec: Codec<unknown>;
  private readonly admission: Admission;
  private readonly runner: MachineRunner<Command, Result>;
  private readonly deadlines: Deadlines;
  private readonly queue: CommandQueue<Command, Result>;
  private readonly barrier: ReadBarrier;
  private readonly snapshots: SnapshotKeeper;
  private readonly hold: LogHold | undefined;
  private readonly closing = new AbortController();
  private readonly applied = new Subject<Applied<Command, Result>>();
  private readonly states = new ReplaySubject<Machine>(1);
  private readonly statuses = new ReplicaStatuses();
  private readonly context = new LogContext();
  private readonly name: string;
  /** Unknown until the log has said which one it is. */
  private identity: LogIdentity | undefined;
  private lock: SnapshotLock | undefined;
  /** The machine as it was given, for starting over. */
  private initial: Uint8Array | undefined;
  private foreign = 0;
  private at = 0;
  /** Position of the entry that is being applied; 0 between entries. */
  private working = 0;
  /** What was passed on to `applied$`. */
  private announced = 0;
  private following: Promise<void> = Promise.resolve();

  constructor(
    options: ReplicaOptions<Command, Result, unknown, Machine>,
    ports: Pick<Ports, 'clock' | 'random'>,
  ) {
    this.options = options;
    this.ports = ports;
    const { machine, log, codec } = options;
    const { clock } = ports;
    this.name = checkedName(options.name ?? 'machine');
    const command = codec?.command ?? jsonCodec<Command>();
    this.codecs = { command, result: codec?.result ?? jsonCodec<Result>() };
    this.snapshotCodec = codec?.snapshot ?? jsonCodec<unknown>();
    this.admission = new Admission(options);
    this.runner = new MachineRunner(machine, this.codecs);
    const bytesMax = options.queueBytesMax ?? 16 * 1024 * 1024;
    const deadlines = new Deadlines(clock, options.callTimeoutMs ?? CALL_MS);
    this.deadlines = deadlines;
    this.queue = new CommandQueue(log, ports, this.codecs, bytesMax, deadlines, this.statuses);
    const behind = (error: VarlogError): void => this.fail(error);
    this.barrier = new ReadBarrier(log, clock, deadlines, this.statuses, behind);
    this.snapshots = new SnapshotKeeper({
      clock,
      every: options.snapshotEvery ?? Number.POSITIVE_INFINITY,
      make: () => this.encodeSnapshot(),
      save: async (position, state) =>
        options.snapshots?.save(position, state) ?? log.compact?.(position, state),
      changed: () => {
        this.hold?.move(this.snapshots.position);
        this.publishStatus();
      },
    });
    this.hold = LogHold.on(log, {
      ...ports,
      signal: this.closing.signal,
      machine: this.name,
      place: options.snapshots?.id?.bind(options.snapshots),
      changed: () => this.publishStatus(),
    });
    this.states.next(machine);
    this.applied$ = this.applied.asObservable();
    this.state$ = this.states.asObservable();
    this.status$ = this.statuses.status$;
  }

  /**
   * Restores the stored snapshot and begins to follow. For `startReplica`. Only a stored snapshot makes it wait for the
   * log to say which one it is.
   */
  async start(): Promise<void> {
    const { snapshots, machine } = this.options;
    try {
      this.lock = await snapshots?.lock?.();
      const stored = await snapshots?.load();
      if (stored === undefined) this.initial = this.tryEncode(machine);
      else {
        await this.inTime((signal) => this.identify(signal));
        this.restore(stored.state, 'the stored snapshot');
        this.barrier.begin(this.at);
      }
    } catch (error) {
      this.fail(error);
      await this.lock?.release();
      throw error;
    }
    this.following = this.follow();
    void this.probe();
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
   * Runs a command through the log and resolves with its result: exactly once, however often it had to be sent, and
   * with a `requestId` however often the caller repeats it, here or elsewhere. Rejects with `SESSION_EXPIRED`,
   * `TIMEOUT`, `RESOURCE_EXHAUSTED`, `REQUEST_MISMATCH`, `CLOSED`, the error of a replica that failed, or
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
    else if (consistency === 'stale') this.barrier.check();
    else await this.barrier.reached(consistency.atLeast, options);
    return look(this.options.machine);
  }

  /** Resolves when all that was committed before this call has been applied here. */
  caughtUp(options: LogCallOptions = {}): Promise<void> {
    return this.barrier.latest(options);
  }

  /** Stops following. Commands without a result are rejected. Leaves the log open. */
  async close(): Promise<void> {
    this.end('closed', closedError());
    const settled = new AbortController();
    const limit = sleep(this.ports.clock, CLOSE_MS, settled.signal).catch(() => {});
    await Promise.race([Promise.all([this.following, this.settled()]), limit]);
    settled.abort();
    await this.lock?.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A machine that failed must not be led by this member: others have to see that it does not go on. */
  private fail(error: unknown): void {
    if (this.statuses.ended) return;
    this.end('failed', error);
    this.options.log.resign?.(reasonOf(error));
    const released = this.settled().then(async () => this.lock?.release());
    released.catch(() => {});
  }

  private async settled(): Promise<void> {
    await Promise.all([this.snapshots.settled(), this.hold?.settled()]);
  }

  private end(state: 'failed' | 'closed', error: unknown): void {
    if (this.statuses.ended) return;
    this.statuses.end(state, state === 'failed' ? error : undefined);
    this.closing.abort();
    this.queue.stop(error);
    this.barrier.stop(error);
    this.deadlines.stop();
    for (const subject of [this.applied, this.states]) {
      if (state === 'failed') subject.error(error);
      else subject.complete();
    }
  }

  private async identify(signal: AbortSignal): Promise<void> {
    if (this.identity !== undefined) return;
    const { statuses, options, ports } = this;
    const log = await identityOf(options.log, ports.clock, signal, (error) => statuses.lost(error));
    this.identity = { log, machine: this.name };
    const tag = tagOf(this.identity);
    this.admission.bind(tag);
    this.queue.bind(tag);
  }

  private async follow(): Promise<void> {
    const { signal } = this.closing;
    // A log that ends before the state that it began with is found even when nobody asks.
    this.caughtUp({ signal, timeoutMs: Number.POSITIVE_INFINITY }).catch(() => {});
    await this.hold?.begin(this.snapshots.position);
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
        if (!(await this.recover(error))) return;
      }
      await sleep(this.ports.clock, RETRY_MS, signal).catch(() => {});
    }
  }

  /** Whether following goes on. */
  private async recover(error: unknown): Promise<boolean> {
    const position = this.working;
    this.working = 0;
    try {
      if (position === 0) {
        if (!VarlogError.is(error) || !error.retryable) throw error;
        this.statuses.lost(error);
        return true;
      }
      if (!(await this.isSkipped(position))) throw error;
      await this.startOver();
      return true;
    } catch (final) {
      if (!this.closing.signal.aborted) this.fail(final);
      return false;
    }
  }

  /** Whether an operator ordered, further on in the log, to pass over what cannot be applied here. */
  private async isSkipped(position: number): Promise<boolean> {
    if (this.admission.isOrdered(position)) return false;
    const tag = tagOf(this.identity as LogIdentity);
    const { log } = this.options;
    const look = (signal: AbortSignal): Promise<ReadonlySet<number>> =>
      skipsFrom(log, tag, position, signal);
    const skips = await this.inTime(look).catch(() => undefined);
    if (skips?.has(position) !== true) return false;
    this.admission.order(skips);
    return true;
  }

  private inTime<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return inTime(this.ports.clock, START_MS, this.closing.signal, work, () =>
      unidentified(START_MS),
    );
  }

  /** Back to the last snapshot: what failed in the middle may have left the machine changed in part. */
  private async startOver(): Promise<void> {
    const stored = await this.options.snapshots?.load();
    this.at = 0;
    if (stored !== undefined) {
      this.restore(stored.state, 'the stored snapshot');
      return;
    }
    if (this.initial === undefined) throw cannotStartOver();
    this.options.machine.restore(this.snapshotCodec.decode(this.initial));
    this.admission.restore(NOTHING_ADMITTED);
    this.afterBatch('snapshot');
  }

  private async probe(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      await sleep(this.ports.clock, PROBE_MS, signal).catch(() => {});
      if (!signal.aborted && this.statuses.observed)
        await this.caughtUp({ signal, timeoutMs: PROBE_MS }).catch(() => {});
    }
  }

  private applyAll(entries: readonly LogEntry[], through: number): void {
    for (const entry of entries) {
      if (entry.position > this.at) this.applyOne(entry);
    }
    this.at = Math.max(this.at, through);
    this.afterBatch('entries');
    this.snapshots.applied(entries.length, this.at);
  }

  private applyOne(entry: LogEntry): void {
    const { admission, queue } = this;
    this.working = entry.position;
    const verdict = admission.admit(entry);
    if (verdict === 'foreign') this.foreign++;
    else if (verdict === 'fresh') this.run(entry.position);
    else if (verdict === 'settled')
      queue.settled(admission.session, admission.sequence, admission.outcome);
    else if (verdict === 'expired')
      queue.expired(admission.session, admission.sequence, admission.requests.forgotten);
    this.at = entry.position;
    this.working = 0;
  }

  private run(position: number): void {
    const { admission, context, codecs } = this;
    const { session, sequence, time, command: bytes } = admission;
    context.begin(position, time);
    const outcome = this.runner.run(bytes, context);
    admission.settle(outcome);
    this.queue.settled(session, sequence, outcome);
    if (position <= this.announced) return;
    this.announced = position;
    if (!this.applied.observed || typeof outcome === 'string') return;
    // Values of their own: the machine may have kept those that it was given, or gave.
    const [command, result] = [codecs.command.decode(bytes), codecs.result.decode(outcome)];
    this.applied.next({ position, time, command, result });
  }

  private afterBatch(kind: 'entries' | 'snapshot'): void {
    this.options.onApplied?.({ kind, position: this.at });
    this.queue.advance(this.at);
    this.barrier.advance(this.at);
    this.publishStatus();
    this.states.next(this.options.machine);
  }

  private publishStatus(): void {
    const { position: snapshotPosition, error: snapshotError } = this.snapshots;
    this.statuses.update({
      position: this.at,
      foreign: this.foreign,
      skipped: this.admission.skips,
      snapshotPosition,
      snapshotError,
      holdError: this.hold?.error,
    });
  }

  private restore(bytes: Uint8Array, what: string): void {
    const decoded = decodeSnapshot(bytes, this.identity as LogIdentity, what);
    const { position, state } = decoded;
    if (position <= this.at) return;
    const { admission } = this;
    this.options.machine.restore(this.snapshotCodec.decode(state));
    admission.restore(decoded);
    this.at = position;
    this.snapshots.restored(position);
    this.queue.reconcile(
      // One that was opened behind the snapshot is still to come.
      (id) => id > position || admission.sessions.has(id),
      (id, sequence) => admission.sessions.outcomeOf(id, sequence),
      admission.requests.forgotten,
    );
    this.afterBatch('snapshot');
  }

  private encodeSnapshot(): Uint8Array {
    const { identity, at: position, admission, snapshotCodec, options } = this;
    const state = snapshotCodec.encode(options.machine.snapshot());
    return encodeSnapshot(identity as LogIdentity, { ...admission.encode(), position, state });
  }

  private tryEncode(machine: StateMachine<Command, Result>): Uint8Array | undefined {
    try {
      return this.snapshotCodec.encode(machine.snapshot());
    } catch {
      return undefined;
    }
  }
}
