import { ReplaySubject } from 'rxjs';
import {
  type Clock,
  Closers,
  checkLimits,
  firstAbort,
  inTime,
  type LogCallOptions,
  type LogEntry,
  type Ports,
  type TurnBudget,
  VarlogError,
} from '../base/index.ts';
import { Admission, NOTHING_ADMITTED } from './admission.ts';
import type { Applier } from './applier.ts';
import { checkCall } from './call-options.ts';
import { commandCodecs, jsonCodec } from './codecs.ts';
import { type AppliedCommand, type CommandPlace, LogContext } from './log-context.ts';
import { LogFollower } from './log-follower.ts';
import { claim, markUsed, release, usedMachine } from './machine-owners.ts';
import { MachineRunner } from './machine-runner.ts';
import { type EncodedState, MachineState } from './machine-state.ts';
import { replicaCheck } from './replica-check.ts';
import {
  cannotStartOver,
  noPlaceForSnapshots,
  notAlone,
  snapshotTooLate,
} from './replica-errors.ts';
import type { ReplicaOptions } from './replica-options.ts';
import { restoreTurns } from './restore-turns.ts';
import { Rules } from './rules.ts';
import { isShardPlan } from './shard-plan.ts';
import { encodeSnapshot } from './snapshot-format.ts';
import { type Captured, SnapshotKeeper } from './snapshot-keeper.ts';
import { checkSnapshot, readSnapshot } from './snapshot-reader.ts';
import type { SnapshotLock } from './snapshot-store.ts';
import { Speculator } from './speculator.ts';
import type { StateCheck } from './state-check.ts';
import type { StateMachine } from './state-machine.ts';

const NOTHING_AT_WORK = { position: 0, timer: undefined };
const CALL_MS = 30_000;

/** Applies to a machine in memory, and has snapshots of it kept. */
export class MemoryApplier<Command, Result, Machine> implements Applier {
  readonly machine: Machine & StateMachine<Command, Result, unknown>;
  readonly admission: Admission;
  readonly follower: LogFollower<Command, Result>;
  readonly speculator: Speculator<Command, Result, Machine>;
  readonly states = new ReplaySubject<Machine>(1);
  position = 0;
  private readonly options: ReplicaOptions<Command, Result, unknown, Machine>;
  private readonly clock: Clock;
  private readonly turns: TurnBudget;
  private readonly state: MachineState;
  private readonly runner: MachineRunner<Command, Result>;
  private readonly snapshots: SnapshotKeeper;
  private readonly check: StateCheck | undefined;
  private readonly context: LogContext<Command>;
  private lock: SnapshotLock | undefined;
  /** The machine as it was given, for starting over. */
  private initial: EncodedState | undefined;
  private isOwner = false;
  /** Whether the machine has the state of `position`: it may be changed in part where applying or restoring failed. */
  private isWhole = true;
  /** Whether a command or a snapshot is changing the machine, or has failed to. */
  private isMidway = false;
  /** Records of others that were passed over since the start. */
  foreign = 0;
  /** Position of the entry that is being applied, or 0 between entries; and the timer whose command it is at. */
  private working: { position: number; timer: number | undefined } = NOTHING_AT_WORK;

  constructor(
    options: ReplicaOptions<Command, Result, unknown, Machine>,
    ports: Pick<Ports, 'clock' | 'random'>,
  ) {
    const { machine, codec, snapshots, snapshotEvery: every = {} } = options;
    this.options = options;
    this.machine = machine;
    this.clock = ports.clock;
    this.admission = new Admission(options, new Rules(machine));
    const { rules } = this.admission;
    const codecs = commandCodecs(codec, rules);
    const snapshot = codec?.snapshot ?? jsonCodec<unknown>();
    this.turns = restoreTurns(ports.clock);
    this.state = new MachineState(machine, snapshot, rules, this.turns);
    this.runner = new MachineRunner(machine, codecs);
    this.context = new LogContext(this.admission.timers, codecs, rules);
    this.snapshots = new SnapshotKeeper({
      ...ports,
      schedule: typeof every === 'number' ? { entries: every } : every,
      capture: () => this.capture(),
      save: (captured) => this.save(captured),
      changed: () => {
        this.follower.hold?.move(this.snapshots.position);
        this.follower.report(this.facts);
      },
    });
    this.follower = new LogFollower({
      options,
      ports,
      codecs,
      applier: this,
      place: snapshots?.id?.bind(snapshots),
    });
    this.speculator = new Speculator({
      machine,
      codecs,
      admission: this.admission,
      queue: this.follower.queue,
      clock: ports.clock,
      readOnly: options.readOnly === true,
      position: () => Math.max(this.position, this.working.position),
      isMidway: () => this.isMidway,
    });
    this.check = replicaCheck(options, ports, this.follower);
    this.states.next(machine);
  }

  /** Restores the stored snapshot and begins to follow. */
  async start(): Promise<void> {
    await this.open();
    this.follower.begin(this.position);
  }

  /** Restores the stored snapshot, for whoever drives this applier without following the log. */
  async open(): Promise<void> {
    const { snapshots, snapshotEvery } = this.options;
    try {
      const isNew = claim(this.machine);
      this.isOwner = true;
      if (snapshotEvery !== undefined) this.checkPlace();
      this.lock = await snapshots?.lock?.();
      const what = 'a snapshot in the store';
      snapshots?.guard?.((chunks) => checkSnapshot(chunks, this.follower.identity, what));
      this.initial = this.state.tryEncode();
      if (!(await this.restoreStored()) && !isNew) throw usedMachine();
    } catch (error) {
      this.follower.fail(error);
      await this.follower.close();
      throw error;
    }
  }

  begin(): Promise<void> | undefined {
    return this.follower.hold?.begin(this.snapshots.position);
  }

  /**
   * Has a snapshot kept of all that is applied now, or more. Resolves with its position. Rejects with `INVALID_ARGUMENT`
   * where there is no place for it, with why it could not be kept, and with `TIMEOUT`.
   */
  async snapshot(options: LogCallOptions): Promise<number> {
    checkCall(options, 'snapshot');
    const { signal, timeoutMs } = options;
    await this.follower.fresh({ ...options, consistency: 'stale' });
    checkLimits(options);
    this.checkPlace();
    const ms = timeoutMs ?? this.options.callTimeoutMs ?? CALL_MS;
    const { position, follower } = this;
    const reach = (it: AbortSignal): Promise<number> => {
      const either = firstAbort(it, follower.signal);
      return this.snapshots.reach(position, either.signal).finally(either.release);
    };
    return inTime(this.clock, ms, signal, reach, () => snapshotTooLate(ms));
  }

  apply(entries: readonly LogEntry[], through: number): void {
    this.isWhole = false;
    markUsed(this.machine);
    let bytes = 0;
    for (const entry of entries) {
      bytes += entry.command.length;
      if (entry.position > this.position) this.applyOne(entry);
    }
    this.isWhole = true;
    this.position = Math.max(this.position, through);
    this.changed('entries');
    this.check?.propose();
    this.snapshots.applied(entries.length, bytes);
  }

  restore(state: AsyncIterable<Uint8Array>): Promise<void> {
    return this.restoreFrom(state, "the log's snapshot");
  }

  async recover(error: unknown): Promise<boolean> {
    const { position, timer } = this.working;
    this.working = NOTHING_AT_WORK;
    if (position === 0) return false;
    if (this.isMidway) this.follower.retreat();
    if (VarlogError.is(error, 'STATE_DIVERGED')) {
      const checked = error.details['position'] as number;
      if (await this.check?.prevails(position, checked)) {
        this.isWhole = true;
        return true;
      }
    }
    if (!(await this.follower.isSkipped(position, timer))) return false;
    await this.startOver();
    return true;
  }

  async end(following: Promise<void>, failure: unknown): Promise<void> {
    this.speculator.end();
    if (failure === undefined) this.states.complete();
    else this.states.error(failure);
    // Whatever of it fails, the rest is let go of; what is added last goes first.
    const closers = new Closers();
    closers.add(
      () => (this.isOwner ? release(this.machine) : undefined),
      () => this.lock?.release(),
      () => this.snapshots.end(),
      () => following,
    );
    await closers.close();
  }

  private applyOne(entry: LogEntry): void {
    const { admission, follower } = this;
    this.working = { position: entry.position, timer: undefined };
    const verdict = admission.admit(entry);
    const isOthers = verdict === 'foreign' && !this.isOfShards(entry.command);
    if (isOthers && this.options.alone === true)
      throw notAlone(follower.identity.machine, entry.position);
    let index = 0;
    for (const due of admission.due()) {
      follower.announce(this.runOne(due.command, due));
      index++;
    }
    if (isOthers) this.foreign++;
    else if (verdict === 'fresh') this.run(entry.position, index);
    else if (verdict === 'check') this.check?.met(entry.position, admission.check);
    else if (verdict === 'settled')
      follower.queue.resolve(admission.session, admission.sequence, admission.outcome);
    else if (verdict === 'expired')
      follower.queue.expired(admission.session, admission.requests.forgotten);
    this.position = entry.position;
    this.working = NOTHING_AT_WORK;
  }

  /** What shards say of their logs is nobody's command, whoever said it. */
  private isOfShards(entry: Uint8Array): boolean {
    return this.options.alone === true && isShardPlan(entry, this.follower.identity.log);
  }

  private run(position: number, index: number): void {
    const { admission, follower } = this;
    const { session, sequence, time, command } = admission;
    const place = { position, index, time, timer: undefined };
    const applied = this.runOne(command, place, session, sequence);
    admission.recordOutcome(applied.outcome);
    follower.queue.resolve(session, sequence, applied.outcome);
    follower.announce(applied);
  }

  private runOne(
    command: Uint8Array,
    place: CommandPlace,
    session = 0,
    sequence = 0,
  ): AppliedCommand {
    const { position, timer } = place;
    this.working = { position, timer };
    this.isMidway = true;
    this.context.begin(place);
    const outcome = this.runner.run(command, this.context);
    const changes = this.context.end();
    this.isMidway = false;
    this.check?.applied();
    this.working = { position, timer: undefined };
    const applied = { place, command, outcome, changes };
    this.speculator.applied(applied, session, sequence);
    return applied;
  }

  /** Back to the last snapshot: what failed in the middle may have left the machine changed in part. */
  private async startOver(): Promise<void> {
    this.position = 0;
    this.follower.retreat();
    if (await this.restoreStored()) return;
    if (this.initial === undefined) throw cannotStartOver();
    await this.restoreInitial(this.initial);
    this.check?.restored();
    this.changed('snapshot');
  }

  /**
   * From the newest stored snapshot that is whole. Where the newest one is damaged and none before it is there, the log may
   * still have all that it stands for: whether it does, the log will say.
   */
  private async restoreStored(): Promise<boolean> {
    const { snapshots, follower } = this;
    let below: number | undefined;
    let missing = 0;
    for (;;) {
      let position = 0;
      try {
        const stored = await this.options.snapshots?.load(below);
        if (stored === undefined || stored.position >= (below ?? Infinity)) break;
        position = stored.position;
        await follower.identify(this.clock);
        await this.restoreFrom(stored.chunks, 'the stored snapshot');
        return true;
      } catch (error) {
        // Other replicas gave it up meanwhile, for newer ones.
        if (VarlogError.is(error, 'NOT_FOUND') && position > missing) {
          missing = position;
          continue;
        }
        if (position > 0) below = position;
        if (!VarlogError.is(error, 'CORRUPT') || this.initial === undefined) throw error;
        snapshots.error = error;
        follower.report(this.facts);
        if (below === undefined) break;
      }
    }
    if (!this.isWhole && this.initial !== undefined) await this.restoreInitial(this.initial);
    return false;
  }

  private async restoreInitial({ isInPieces, pieces }: EncodedState): Promise<void> {
    async function* stored(): AsyncGenerator<Uint8Array> {
      yield* pieces;
    }
    const admit = await this.admission.read([NOTHING_ADMITTED], this.turns);
    await this.replace(isInPieces, stored());
    admit();
    this.isWhole = true;
    this.isMidway = false;
  }

  /** The machine alone: until its caller has replaced the rest too, nobody may go on from here. */
  private async replace(isInPieces: boolean, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    this.isMidway = true;
    this.speculator.drop();
    await this.state.restore(isInPieces, pieces);
  }

  private restoreFrom(chunks: AsyncIterable<Uint8Array>, what: string): Promise<void> {
    return readSnapshot(chunks, this.follower.identity, what, async (snapshot) => {
      const { position, isInPieces } = snapshot;
      if (position <= this.position) return;
      // First, because code that does not know the rules need not know the state.
      const admit = await this.admission.read(snapshot.admission(), this.turns);
      this.isWhole = false;
      markUsed(this.machine);
      await this.replace(isInPieces, snapshot.pieces());
      admit();
      this.check?.restored();
      this.position = position;
      this.isWhole = true;
      this.isMidway = false;
      this.snapshots.restored(position);
      this.follower.reconcile(position);
      this.changed('snapshot');
    });
  }

  private changed(kind: 'entries' | 'snapshot'): void {
    const { position } = this;
    this.options.onApplied?.({ kind, position });
    this.follower.advance(position, this.facts);
    this.states.next(this.machine);
  }

  /** What the status tells of it. */
  private get facts() {
    const { position: snapshotPosition, error: snapshotError } = this.snapshots;
    const { foreign } = this;
    const { skips: skipped, rules, timers } = this.admission;
    const checkedPosition = this.check?.equalAt ?? 0;
    return {
      foreign,
      skipped,
      rules: rules.inForce,
      timers: timers.status,
      checkedPosition,
      snapshotPosition,
      snapshotError,
    };
  }

  private checkPlace(): void {
    const { snapshots, log } = this.options;
    if (snapshots === undefined && log.compact === undefined) throw noPlaceForSnapshots();
  }

  /** The whole state as it is now, as a snapshot; `undefined` where it is not whole now, or the replica ended. */
  capture(): Captured | undefined {
    const { position, admission, follower, clock } = this;
    if (!this.isWhole || follower.signal.aborted) return undefined;
    const state = { position, admission: admission.encode(), ...this.state.capture() };
    const ended = (): void => follower.signal.throwIfAborted();
    return { position, chunks: encodeSnapshot(follower.identity, state, clock, ended) };
  }

  private async save({ position, chunks }: Captured): Promise<number> {
    const { snapshots, log } = this.options;
    if (snapshots !== undefined) return snapshots.save(position, chunks);
    await log.compact?.(position, chunks);
    return position;
  }
}
