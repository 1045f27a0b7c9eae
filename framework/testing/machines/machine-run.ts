import { type Codec, type Ports, reasonOf, VarlogError } from '../../base/index.ts';
import { DiskSnapshotStore } from '../../smr/disk-snapshot-store.ts';
import { briefly } from '../../smr/first-difference.ts';
import { type Replica, type StateMachine, startReplica } from '../../smr/index.ts';
import { isPromise } from '../../smr/machine-runner.ts';
import type { MemoryLink } from '../memory-link.ts';
import { MemoryLog } from '../memory-log.ts';
import { fingerprint } from '../simulator/trace.ts';
import { type Process, World } from '../simulator/world.ts';
import { defect } from './defect.ts';
import { checkForks } from './forks.ts';
import { AppliedHistory } from './history.ts';
import type { Subject } from './machine-source.ts';
import {
  type AppliedCommand,
  type Numbered,
  numberedCodec,
  ObservedMachine,
} from './observed-machine.ts';
import type { MachineFault, Plan } from './plan.ts';
import { Rehearsal } from './rehearsal.ts';
import { checkRestores, notDeterministic, outcomeDifference } from './replay.ts';
import { RunClients } from './run-clients.ts';
import { describeFault, Story } from './story.ts';

/** Until all is decided once nothing is wrong any more: longer than any time limit on the way. */
const SETTLE_MS = 300_000;

/** What a run came to. */
export interface RunOutcome {
  /** What it found: `MACHINE_DEFECT`. */
  readonly failure: VarlogError | undefined;
  /** Equal for runs that did the same. */
  readonly traceHash: string;
  /** What happened, for people; empty where nobody asked for it. */
  readonly story: readonly string[];
}

export interface RunOptions<Machine> {
  readonly invariant?: ((machine: Machine) => unknown) | undefined;
  /** Whether to tell what happens. Default: no. */
  readonly told?: boolean;
}

/** Runs a plan: replicas of a machine on a log in memory, in virtual time, with clients, faults and checks. */
export function runMachine<Command, Result, Snapshot, Machine>(
  subject: Subject<Command, Result, Snapshot, Machine>,
  plan: Plan,
  options: RunOptions<Machine>,
): Promise<RunOutcome> {
  return new MachineRun(subject, plan, options).play();
}

class MachineRun<Command, Result, Snapshot, Machine> {
  private readonly subject: Subject<Command, Result, Snapshot, Machine>;
  private readonly plan: Plan;
  private readonly invariant: ((machine: Machine) => unknown) | undefined;
  private readonly world: World;
  private readonly story: Story;
  private readonly history: AppliedHistory<Command, Result, Snapshot, Machine>;
  private readonly clients: RunClients<Command, Result>;
  private readonly links = new Map<string, MemoryLink>();
  private readonly lives = new Map<
    string,
    { machine: Machine & StateMachine<Command, Result, Snapshot>; replica: Running }
  >();
  /** Whose disk is to be found empty. */
  private readonly wiped = new Set<string>();

  constructor(
    subject: Subject<Command, Result, Snapshot, Machine>,
    plan: Plan,
    { invariant, told = false }: RunOptions<Machine>,
  ) {
    const world = new World(`machine ${plan.seed}`);
    const { replicas } = plan;
    this.subject = subject;
    this.plan = plan;
    this.invariant = invariant;
    this.world = world;
    this.story = told ? new Story(() => world.nowMs) : new Story();
    this.history = new AppliedHistory(subject);
    this.clients = new RunClients({ subject, world, story: this.story, replicas });
    const { clock } = world.ports('log');
    const log = new MemoryLog({ identity: 'simulated', clock });
    for (const name of replicas) {
      const link = log.link({ clock, random: world.random.stream(`link ${name}`) });
      link.latencyMs = plan.latencyMs;
      this.links.set(name, link);
    }
  }

  async play(): Promise<RunOutcome> {
    const { world, plan, history, clients } = this;
    let failure: VarlogError | undefined;
    try {
      for (const name of plan.replicas) world.node(name, (ports) => this.start(name, ports));
      for (const call of plan.calls) world.after(call.atMs, () => clients.begin(call));
      for (const fault of plan.faults) world.after(fault.atMs, () => this.strike(fault));
      await world.run(endOf(plan));
      await this.settle();
      history.check(clients);
      await this.rehearse();
    } catch (error) {
      failure = asDefect(error);
    } finally {
      world.close();
    }
    return { failure, traceHash: world.trace.hash(), story: this.story.lines };
  }

  private async start(name: string, ports: Ports): Promise<Process> {
    const { subject, plan } = this;
    if (this.wiped.delete(name)) {
      for (const it of await ports.disk.list('')) await ports.disk.remove(it);
    }
    const machine = subject.make();
    const { command, result, change, snapshot } = subject;
    const replica = await startReplica<Numbered<Command>, Result, Snapshot, unknown>({
      machine: new ObservedMachine({
        machine,
        codec: command,
        clock: ports.clock,
        pieceMs: plan.latencyMs,
        applied: (it: AppliedCommand<Result>) => this.check(() => this.applied(name, machine, it)),
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
        if (kind === 'snapshot') this.check(() => this.restored(name, machine, position));
      },
    });
    replica.status$.subscribe(({ state, error }) => {
      if (state === 'failed') this.world.fail(error);
    });
    this.lives.set(name, { machine, replica });
    this.clients.joined(name, replica, () => subject.state.encode(machine.snapshot()));
    this.story.tell(() => `${name} runs`);
    return replica;
  }

  private applied(
    name: string,
    machine: Machine & StateMachine<Command, Result, Snapshot>,
    applied: AppliedCommand<Result>,
  ): void {
    const { number, position, command, ...made } = applied;
    const { subject, history, story, world } = this;
    const result = subject.result.encode(made.result);
    const state = subject.state.encode(machine.snapshot());
    world.note(`${name} ${position} #${number} ${fingerprint(result)} ${fingerprint(state)}`);
    story.tell(() => {
      const what = `#${number} ${briefly(subject.command.decode(command))}`;
      const after = `${briefly(made.result)}, state ${briefly(subject.state.decode(state))}`;
      return `${name} applies ${what} at position ${position}: ${after}`;
    });
    history.apply({ ...applied, result, state, replica: name });
    this.checkInvariant(name, machine, position);
  }

  private restored(
    name: string,
    machine: Machine & StateMachine<Command, Result, Snapshot>,
    position: number,
  ): void {
    const { subject, history, story } = this;
    const state = subject.state.encode(machine.snapshot());
    story.tell(() => {
      const found = briefly(subject.state.decode(state));
      return `${name} goes on from a snapshot of position ${position}: ${found}`;
    });
    history.restore(name, position, state);
    this.checkInvariant(name, machine, position);
  }

  private checkInvariant(name: string, machine: Machine, position: number): void {
    const broken = (because?: string, cause?: unknown): Error =>
      defect('invariant', position, {
        what: `the invariant does not hold at replica ${name} after position ${position}`,
        ...(because !== undefined && { because }),
        cause,
      });
    let holds: unknown;
    try {
      holds = this.invariant?.(machine);
    } catch (error) {
      throw broken(reasonOf(error), error);
    }
    if (isPromise(holds)) {
      holds.then(undefined, () => {});
      throw broken('it answered with a promise, which is neither true nor false');
    }
    if (holds === false) throw broken();
  }

  /** What it throws fails the run. It must not stop the replica, which would then fail by another error. */
  private check(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.world.fail(error);
    }
  }

  private strike(fault: MachineFault): void {
    const { world, plan } = this;
    const { replica: name } = fault;
    const link = this.links.get(name)!;
    this.story.tell(() => describeFault(fault));
    const afterwards = (undo: () => void): void => {
      if ('forMs' in fault) world.after(fault.forMs, undo);
    };
    switch (fault.kind) {
      case 'crash':
        this.crash(name, fault.loses);
        afterwards(() => world.restart(name));
        break;
      case 'pause':
        world.pause(name);
        afterwards(() => world.resume(name));
        break;
      case 'partition':
        link.cut();
        afterwards(() => link.mend());
        break;
      case 'delay':
        link.latencyMs = fault.latencyMs;
        afterwards(() => {
          link.latencyMs = plan.latencyMs;
        });
        break;
      case 'append':
        link.failNext(fault.suffers);
        break;
      case 'clock':
        world.jumpWallClock(name, fault.byMs);
    }
  }

  private crash(name: string, loses: 'nothing' | 'unsynced' | 'disk'): void {
    this.world.crash(name, { powerLoss: loses !== 'nothing' });
    if (loses === 'disk') this.wiped.add(name);
    this.lives.delete(name);
    this.clients.left(name);
  }

  /** Ends all that is wrong: what has to make progress then, must. */
  private async settle(): Promise<void> {
    const { world, plan, lives, clients, history } = this;
    this.story.tell(() => 'nothing is wrong any more');
    for (const [name, link] of this.links) {
      link.mend();
      link.latencyMs = plan.latencyMs;
      world.resume(name);
      world.restart(name);
    }
    const all = plan.replicas.length;
    try {
      await world.until(() => clients.areThrough && lives.size === all, SETTLE_MS);
      await world.play(async () => {
        for (const { replica } of lives.values()) await replica.caughtUp();
      }, SETTLE_MS);
    } catch (cause) {
      if (!VarlogError.is(cause, 'TIMEOUT')) throw cause;
      const what = 'calls have no answer, or replicas do not catch up, long after all was well';
      throw defect('stuck', 0, { what, cause });
    }
    for (const [name, { machine, replica }] of lives) {
      history.restore(name, replica.position, this.subject.state.encode(machine.snapshot()));
    }
  }

  /** What took effect, once more: on a machine that never stopped, and on others that begin from each snapshot. */
  private async rehearse(): Promise<void> {
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

type Running = Pick<Replica<never, unknown, unknown>, 'position' | 'caughtUp'>;

/** When the last of what is planned is over. */
function endOf({ calls, faults }: Plan): number {
  const ends = faults.map((it) => it.atMs + ('forMs' in it ? it.forMs : 0));
  return Math.max(0, ...ends, ...calls.map((it) => it.atMs)) + 1;
}

/** What was thrown in a run, as what it says of the machine. Throws what says nothing of it. */
function asDefect(error: unknown): VarlogError {
  if (VarlogError.is(error, 'MACHINE_DEFECT')) return error;
  if (VarlogError.is(error, 'CANCELLED')) throw error;
  const at = VarlogError.is(error) ? Number(error.details['position'] ?? 0) : 0;
  if (VarlogError.is(error, 'APPLY_FAILED')) {
    const { cause = error } = error;
    if (VarlogError.is(cause, 'MACHINE_DEFECT')) return cause;
    const kind = VarlogError.is(cause, 'FAILED_PRECONDITION') ? 'nondeterministic' : 'threw';
    const what = `the command at position ${at} could not be applied: ${reasonOf(cause)}`;
    return defect(kind, at, { what, cause: error });
  }
  const what = `a replica failed, or something of its machine threw: ${reasonOf(error)}`;
  return defect('threw', at, { what, cause: error });
}
