import { type Codec, type Ports, reasonOf, VarlogError } from '../../base/index.ts';
import { DiskSnapshotStore } from '../../smr/disk-snapshot-store.ts';
import { startReplica } from '../../smr/index.ts';
import { isPromise } from '../../smr/machine-runner.ts';
import { defect } from './defect.ts';
import { outcomeDifference } from './difference.ts';
import { checkForks } from './forks.ts';
import type { Subject } from './machine-source.ts';
import {
  type AppliedCommand,
  type Numbered,
  numberedCodec,
  ObservedMachine,
} from './observed-machine.ts';
import type { Plan } from './plan.ts';
import { Rehearsal } from './rehearsal.ts';
import { checkRestores, notDeterministic } from './replay.ts';
import {
  brokenInvariant,
  type Life,
  ReplicaRun,
  type RunOutcome,
  SETTLE_MS,
} from './replica-run.ts';

export interface RunOptions<Machine> {
  readonly invariant?: ((machine: Machine) => unknown) | undefined;
  /** Whether to tell what happens. Default: no. */
  readonly told?: boolean;
}

/** Runs a plan with a machine in memory. */
export function runMachine<Command, Result, Snapshot, Machine>(
  subject: Subject<Command, Result, Snapshot, Machine>,
  plan: Plan,
  options: RunOptions<Machine>,
): Promise<RunOutcome> {
  return new MachineRun(subject, plan, options).play();
}

class MachineRun<Command, Result, Snapshot, Machine> extends ReplicaRun<Command, Result> {
  private readonly subject: Subject<Command, Result, Snapshot, Machine>;
  private readonly invariant: ((machine: Machine) => unknown) | undefined;
  /** Whose disk is to be found empty. */
  private readonly wiped = new Set<string>();

  constructor(
    subject: Subject<Command, Result, Snapshot, Machine>,
    plan: Plan,
    { invariant, told = false }: RunOptions<Machine>,
  ) {
    super(subject, plan, told);
    this.subject = subject;
    this.invariant = invariant;
  }

  protected override async begin(name: string, ports: Ports): Promise<Life<Command, Result>> {
    const { subject, plan } = this;
    if (this.wiped.delete(name)) {
      for (const it of await ports.disk.list('')) await ports.disk.remove(it);
    }
    const machine = subject.make();
    const { command, result, change, snapshot } = subject;
    const state = (): Uint8Array => subject.state.encode(machine.snapshot());
    const replica = await startReplica<Numbered<Command>, Result, Snapshot, unknown>({
      machine: new ObservedMachine({
        machine,
        codec: command,
        clock: ports.clock,
        pieceMs: plan.latencyMs,
        applied: (it: AppliedCommand<Result>) =>
          this.check(() => {
            this.applied(name, it, state());
            this.checkInvariant(name, machine, it.position);
          }),
      }),
      log: this.links.get(name)!.asOrderedLog(ports.clock),
      codec: {
        command: numberedCodec(command),
        result,
        change,
        snapshot: snapshot as Codec<never>,
      },
      ports,
      snapshotEvery: plan.snapshotEvery,
      // What gets no answer is found: see `settle`.
      callTimeoutMs: Number.POSITIVE_INFINITY,
      ...(plan.snapshotsIn === 'disk' && { snapshots: new DiskSnapshotStore(ports.disk) }),
      onApplied: ({ kind, position }) => {
        if (kind !== 'snapshot') return;
        this.check(() => {
          this.restored(name, position, state());
          this.checkInvariant(name, machine, position);
        });
      },
    });
    replica.status$.subscribe((it) => this.heed(it));
    return {
      get position() {
        return replica.position;
      },
      state,
      look: async () => ({ position: replica.position, state: state() }),
      execute: (given, options) => replica.execute(given, options),
      askPosition: () => replica.query(() => replica.position),
      ...(subject.hasFork && {
        speculate: (given, options) => replica.speculate(given, options),
      }),
      caughtUp: () => replica.caughtUp(),
      close: () => replica.close(),
    };
  }

  protected override ended(name: string, loses: 'nothing' | 'unsynced' | 'disk'): void {
    if (loses === 'disk') this.wiped.add(name);
  }

  private checkInvariant(name: string, machine: Machine, position: number): void {
    let holds: unknown;
    try {
      holds = this.invariant?.(machine);
    } catch (error) {
      throw brokenInvariant(name, position, reasonOf(error), error);
    }
    if (isPromise(holds)) {
      holds.then(undefined, () => {});
      throw brokenInvariant(
        name,
        position,
        'it answered with a promise, which is neither true nor false',
      );
    }
    if (holds === false) throw brokenInvariant(name, position);
  }

  /** What took effect, once more: on a machine that never stopped, and on others that begin from each snapshot. */
  protected override async rehearse(): Promise<void> {
    const { subject, history, world } = this;
    const straight = new Rehearsal(subject);
    for (const step of history.steps) {
      const places = [`at replica ${step.replica}`, 'at a machine that never stopped'] as const;
      const found = outcomeDifference(subject, step, straight.apply(step), places);
      if (found !== undefined) throw notDeterministic(step.position, found);
    }
    straight.checkResults();
    if (subject.hasFork) checkForks(subject, history.steps);
    try {
      await world.play(() => checkRestores(subject, history.steps), SETTLE_MS);
    } catch (cause) {
      if (!VarlogError.is(cause, 'TIMEOUT')) throw cause;
      throw defect('stuck', 0, { what: '`restore` does not come to an end', cause });
    }
  }
}
