import { ReplaySubject } from 'rxjs';
import type { Clock, Codec, LogEntry, Ports } from '../base/index.ts';
import { Admission, NOTHING_ADMITTED } from './admission.ts';
import type { Applier } from './applier.ts';
import { commandCodecs, jsonCodec } from './codecs.ts';
import { type AppliedCommand, type CommandPlace, LogContext } from './log-context.ts';
import { LogFollower } from './log-follower.ts';
import { MachineRunner } from './machine-runner.ts';
import { cannotStartOver } from './replica-errors.ts';
import type { ReplicaOptions } from './replica-options.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot-format.ts';
import { SnapshotKeeper } from './snapshot-keeper.ts';
import type { SnapshotLock } from './snapshot-store.ts';
import type { StateMachine } from './state-machine.ts';

const NOTHING_AT_WORK = { position: 0, timer: undefined };

/** Applies to a machine in memory, and has snapshots of it kept. */
export class MemoryApplier<Command, Result, Machine> implements Applier {
  readonly machine: Machine & StateMachine<Command, Result, unknown>;
  readonly admission: Admission;
  readonly follower: LogFollower<Command, Result>;
  readonly states = new ReplaySubject<Machine>(1);
  position = 0;
  private readonly options: ReplicaOptions<Command, Result, unknown, Machine>;
  private readonly clock: Clock;
  private readonly snapshotCodec: Codec<unknown>;
  private readonly runner: MachineRunner<Command, Result>;
  private readonly snapshots: SnapshotKeeper;
  private readonly context: LogContext<Command>;
  private lock: SnapshotLock | undefined;
  /** The machine as it was given, for starting over. */
  private initial: Uint8Array | undefined;
  private foreign = 0;
  /** Position of the entry that is being applied, or 0 between entries; and the timer whose command it is at. */
  private working: { position: number; timer: number | undefined } = NOTHING_AT_WORK;

  constructor(
    options: ReplicaOptions<Command, Result, unknown, Machine>,
    ports: Pick<Ports, 'clock' | 'random'>,
  ) {
    const { machine, log, codec, snapshots } = options;
    this.options = options;
    this.machine = machine;
    this.clock = ports.clock;
    this.admission = new Admission(options);
    const codecs = commandCodecs(codec);
    this.snapshotCodec = codec?.snapshot ?? jsonCodec<unknown>();
    this.runner = new MachineRunner(machine, codecs);
    this.context = new LogContext(this.admission.timers, codecs);
    this.snapshots = new SnapshotKeeper({
      ...ports,
      every: options.snapshotEvery ?? Number.POSITIVE_INFINITY,
      make: () => this.encodeSnapshot(),
      save: async (position, state) =>
        snapshots?.save(position, state) ?? log.compact?.(position, state),
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
    this.states.next(machine);
  }

  /** Restores the stored snapshot and begins to follow. */
  async start(): Promise<void> {
    const { snapshots } = this.options;
    try {
      this.lock = await snapshots?.lock?.();
      const stored = await snapshots?.load();
      if (stored === undefined) this.initial = this.tryEncode();
      else {
        await this.follower.identify(this.clock);
        this.restoreFrom(stored.state, 'the stored snapshot');
      }
    } catch (error) {
      this.follower.fail(error);
      await this.follower.close();
      throw error;
    }
    this.follower.begin(this.position);
  }

  begin(): Promise<void> | undefined {
    return this.follower.hold?.begin(this.snapshots.position);
  }

  apply(entries: readonly LogEntry[], through: number): void {
    for (const entry of entries) {
      if (entry.position > this.position) this.applyOne(entry);
    }
    this.position = Math.max(this.position, through);
    this.changed('entries');
    this.snapshots.applied(entries.length, this.position);
  }

  restore(state: Uint8Array): void {
    this.restoreFrom(state, "the log's snapshot");
  }

  async recover(): Promise<boolean> {
    const { position, timer } = this.working;
    this.working = NOTHING_AT_WORK;
    if (position === 0 || !(await this.follower.isSkipped(position, timer))) return false;
    await this.startOver();
    return true;
  }

  async end(following: Promise<void>, failure: unknown): Promise<void> {
    if (failure === undefined) this.states.complete();
    else this.states.error(failure);
    await following;
    await this.snapshots.settled();
    await this.lock?.release();
  }

  private applyOne(entry: LogEntry): void {
    const { admission, follower } = this;
    this.working = { position: entry.position, timer: undefined };
    const verdict = admission.admit(entry);
    const index = this.fire(entry.position);
    if (verdict === 'foreign') this.foreign++;
    else if (verdict === 'fresh') this.run(entry.position, index);
    else if (verdict === 'settled')
      follower.queue.resolve(admission.session, admission.sequence, admission.outcome);
    else if (verdict === 'expired')
      follower.queue.expired(admission.session, admission.sequence, admission.requests.forgotten);
    this.position = entry.position;
    this.working = NOTHING_AT_WORK;
  }

  private run(position: number, index: number): void {
    const { admission, follower } = this;
    const { session, sequence, time, command } = admission;
    const place = { position, index, time, timer: undefined };
    const applied = this.runOne(command, place);
    admission.recordOutcome(applied.outcome);
    follower.queue.resolve(session, sequence, applied.outcome);
    follower.announce(applied);
  }

  /** What is due at the time of the entry at `position` goes before it. How much that was. */
  private fire(position: number): number {
    const { admission } = this;
    const { time } = admission;
    let index = 0;
    for (let due = admission.takeDue(); due !== undefined; due = admission.takeDue()) {
      const place = { position, index: index++, time, timer: due.id };
      this.follower.announce(this.runOne(due.command, place));
    }
    return index;
  }

  private runOne(command: Uint8Array, place: CommandPlace): AppliedCommand {
    const { position, timer } = place;
    this.working = { position, timer };
    this.context.begin(place);
    const outcome = this.runner.run(command, this.context);
    return { place, command, outcome, changes: this.context.end() };
  }

  /** Back to the last snapshot: what failed in the middle may have left the machine changed in part. */
  private async startOver(): Promise<void> {
    const stored = await this.options.snapshots?.load();
    this.position = 0;
    if (stored !== undefined) {
      this.restoreFrom(stored.state, 'the stored snapshot');
      return;
    }
    if (this.initial === undefined) throw cannotStartOver();
    this.machine.restore(this.snapshotCodec.decode(this.initial));
    this.admission.restore(NOTHING_ADMITTED);
    this.changed('snapshot');
  }

  private restoreFrom(bytes: Uint8Array, what: string): void {
    const decoded = decodeSnapshot(bytes, this.follower.identity, what);
    const { position, state } = decoded;
    if (position <= this.position) return;
    this.machine.restore(this.snapshotCodec.decode(state));
    this.admission.restore(decoded);
    this.position = position;
    this.snapshots.restored(position);
    this.follower.reconcile(position);
    this.changed('snapshot');
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
    return { foreign, skipped: this.admission.skips, snapshotPosition, snapshotError };
  }

  private encodeSnapshot(): Uint8Array {
    const { position, admission, follower } = this;
    const state = this.snapshotCodec.encode(this.machine.snapshot());
    return encodeSnapshot(follower.identity, { ...admission.encode(), position, state });
  }

  private tryEncode(): Uint8Array | undefined {
    try {
      return this.snapshotCodec.encode(this.machine.snapshot());
    } catch {
      return undefined;
    }
  }
}
