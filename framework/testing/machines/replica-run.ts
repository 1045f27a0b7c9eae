import { type Codec, type Ports, reasonOf, VarlogError } from '../../base/index.ts';
import { briefly } from '../../smr/first-difference.ts';
import type { ReplicaStatus } from '../../smr/index.ts';
import type { MemoryLink } from '../memory-link.ts';
import { MemoryLog } from '../memory-log.ts';
import { fingerprint } from '../simulator/trace.ts';
import { type Process, World } from '../simulator/world.ts';
import { defect } from './defect.ts';
import type { Outcomes } from './difference.ts';
import { AppliedHistory } from './history.ts';
import type { AppliedCommand } from './observed-machine.ts';
import type { MachineFault, Plan } from './plan.ts';
import { type AskedReplica, RunClients } from './run-clients.ts';
import { describeFault, Story } from './story.ts';

/** Until all is decided once nothing is wrong any more: longer than any time limit on the way. */
export const SETTLE_MS = 300_000;

/** What a run came to. */
export interface RunOutcome {
  /** What it found: `MACHINE_DEFECT`. */
  readonly failure: VarlogError | undefined;
  /** Equal for runs that did the same. */
  readonly traceHash: string;
  /** What happened, for people; empty where nobody asked for it. */
  readonly story: readonly string[];
}

/** How the values of a machine become bytes. */
export interface RunCodecs<Command, Result> extends Outcomes {
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
}

/** A replica from its start to a crash, or to the end. */
export interface Life<Command, Result> extends AskedReplica<Command, Result>, Process {
  caughtUp(): Promise<void>;
  /** The state of the machine, encoded, and its position. */
  look(): Promise<{ readonly position: number; readonly state: Uint8Array }>;
}

/** A plan while it is run: replicas on a log in memory, in virtual time, with clients, faults and checks. */
export abstract class ReplicaRun<Command, Result> {
  protected readonly plan: Plan;
  protected readonly world: World;
  protected readonly history: AppliedHistory;
  protected readonly links = new Map<string, MemoryLink>();
  private readonly codecs: RunCodecs<Command, Result>;
  private readonly story: Story;
  private readonly clients: RunClients<Command, Result>;
  private readonly lives = new Map<string, Life<Command, Result>>();

  /** `told`: whether to tell what happens. */
  constructor(codecs: RunCodecs<Command, Result>, plan: Plan, told: boolean) {
    const world = new World(`machine ${plan.seed}`);
    const { replicas } = plan;
    this.codecs = codecs;
    this.plan = plan;
    this.world = world;
    this.story = told ? new Story(() => world.nowMs) : new Story();
    this.history = new AppliedHistory(codecs);
    this.clients = new RunClients({ ...codecs, world, story: this.story, replicas });
    const { clock } = world.ports('log');
    const log = new MemoryLog({ identity: 'simulated', clock });
    for (const name of replicas) {
      const link = log.link({ clock, random: world.random.stream(`link ${name}`) });
      link.latencyMs = plan.latencyMs;
      this.links.set(name, link);
    }
  }

  /** Starts a replica in a process that has just begun. */
  protected abstract begin(name: string, ports: Ports): Promise<Life<Command, Result>>;

  /** The process of a replica has ended. */
  protected abstract ended(name: string, loses: 'nothing' | 'unsynced' | 'disk'): void;

  /** The next transaction of a replica is not to be committed. */
  protected failTransaction(_name: string): void {}

  /** The run is over, and nothing of it is needed any more. */
  protected closed(): void {}

  /** Does once more, without replicas, what took effect. */
  protected abstract rehearse(): Promise<void>;

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
      this.closed();
    }
    return { failure, traceHash: world.trace.hash(), story: this.story.lines };
  }

  private async start(name: string, ports: Ports): Promise<Process> {
    const life = await this.begin(name, ports);
    this.lives.set(name, life);
    this.clients.joined(name, life);
    this.story.tell(() => `${name} runs`);
    return life;
  }

  /** Fails the run where a replica fails. */
  protected heed({ state, error }: ReplicaStatus): void {
    if (state === 'failed') this.world.fail(error);
  }

  /** A replica has applied a command, and `state` is what it came to. */
  protected applied(name: string, applied: AppliedCommand<Result>, state: Uint8Array): void {
    const { number, position, command, ...made } = applied;
    const { codecs, history, story, world } = this;
    const result = codecs.result.encode(made.result);
    world.note(`${name} ${position} #${number} ${fingerprint(result)} ${fingerprint(state)}`);
    story.tell(() => {
      const what = `#${number} ${briefly(codecs.command.decode(command))}`;
      const after = `${briefly(made.result)}, state ${briefly(codecs.state.decode(state))}`;
      return `${name} applies ${what} at position ${position}: ${after}`;
    });
    history.apply({ ...applied, result, state, replica: name });
  }

  /** A replica goes on from what was kept. */
  protected restored(name: string, position: number, state: Uint8Array): void {
    const { codecs, history, story } = this;
    story.tell(() => {
      const found = briefly(codecs.state.decode(state));
      return `${name} goes on from a snapshot of position ${position}: ${found}`;
    });
    history.restore(name, position, state);
  }

  /** What it throws fails the run. It must not stop the replica, which would then fail by another error. */
  protected check(work: () => void): void {
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
        break;
      case 'transaction':
        this.failTransaction(name);
    }
  }

  private crash(name: string, loses: 'nothing' | 'unsynced' | 'disk'): void {
    this.world.crash(name, { powerLoss: loses !== 'nothing' });
    this.ended(name, loses);
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
        for (const life of lives.values()) await life.caughtUp();
        for (const [name, life] of lives) {
          const { position, state } = await life.look();
          history.restore(name, position, state);
        }
      }, SETTLE_MS);
    } catch (cause) {
      if (!VarlogError.is(cause, 'TIMEOUT')) throw cause;
      const what = 'calls have no answer, or replicas do not catch up, long after all was well';
      throw defect('stuck', 0, { what, cause });
    }
  }
}

/** The error of an invariant that does not hold. */
export function brokenInvariant(
  name: string,
  position: number,
  because?: string,
  cause?: unknown,
): VarlogError {
  return defect('invariant', position, {
    what: `the invariant does not hold at replica ${name} after position ${position}`,
    ...(because !== undefined && { because }),
    cause,
  });
}

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
