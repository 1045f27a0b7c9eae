import { VarlogError } from '../../base/index.ts';
import type { Replica } from '../../smr/index.ts';
import type { World } from '../simulator/world.ts';
import { show } from './difference.ts';
import type { CommandCall, QueryCall } from './history.ts';
import type { Subject } from './machine-source.ts';
import { Numbered } from './observed-machine.ts';
import type { PlannedCall } from './plan.ts';
import type { Story } from './story.ts';

/** So long a client waits that finds no replica running. */
const SEARCH_MS = 20;

interface Parts<Command, Result> {
  readonly subject: Pick<Subject<Command, Result, never, never>, 'command' | 'result'>;
  readonly world: World;
  readonly story: Story;
  /** All replicas, running or not. */
  readonly replicas: readonly string[];
}

type RunningReplica<Command, Result> = Replica<Numbered<Command>, Result, unknown>;

/** A command that a client waits for. */
interface OpenCommand {
  readonly planned: PlannedCall & { readonly kind: 'command' };
  readonly call: CommandCall;
  /** Whether none of its attempts can have taken effect so far. */
  certain: boolean;
}

/** The clients of a run: they ask replicas, note what they were told, and some ask elsewhere when their replica is gone. */
export class RunClients<Command, Result> {
  readonly commands: CommandCall[] = [];
  readonly queries: QueryCall[] = [];
  private readonly parts: Parts<Command, Result>;
  private readonly running = new Map<string, RunningReplica<Command, Result>>();
  private readonly open = new Map<string, Set<OpenCommand>>();
  private undecided = 0;

  constructor(parts: Parts<Command, Result>) {
    this.parts = parts;
  }

  /** Whether every command has been answered, refused or given up. */
  get areThrough(): boolean {
    return this.undecided === 0;
  }

  /** From now on a replica takes calls. */
  joined(name: string, replica: RunningReplica<Command, Result>): void {
    this.running.set(name, replica);
    this.open.set(name, new Set());
  }

  /** A replica is gone, and what it was asked will not be answered. */
  left(name: string): void {
    const open = this.open.get(name) ?? new Set();
    this.running.delete(name);
    this.open.delete(name);
    for (const it of open) {
      it.certain = false;
      if (it.planned.repeated) this.send(it);
      else this.decide(it, 'unknown');
    }
  }

  begin(planned: PlannedCall): void {
    if (planned.kind === 'query') {
      this.query(planned.replica);
      return;
    }
    const call: CommandCall = {
      number: planned.number,
      calledMs: this.parts.world.nowMs,
      returnedMs: Number.POSITIVE_INFINITY,
      state: 'open',
    };
    this.commands.push(call);
    this.undecided++;
    this.send({ planned, call, certain: true });
  }

  private send(it: OpenCommand): void {
    const { world, story, subject } = this.parts;
    const { planned, call } = it;
    const found = this.find(planned.replica);
    if (found === undefined) {
      world.after(SEARCH_MS, () => this.send(it));
      return;
    }
    const [name, replica] = found;
    const open = this.open.get(name)!;
    open.add(it);
    const { number, repeated } = planned;
    const command = subject.command.decode(planned.command);
    story.tell(() => `${name} is given #${number} ${show(command)}`);
    const request = repeated ? { requestId: `request ${number}` } : {};
    replica.execute(new Numbered(number, command), request).then(
      (result) => {
        if (!open.delete(it)) return;
        story.tell(() => `${name} answers #${number}: ${show(result)}`);
        call.result = subject.result.encode(result);
        call.returnedMs = world.nowMs;
        this.decide(it, 'answered');
      },
      (error: unknown) => {
        if (!open.delete(it)) return;
        story.tell(() => `${name} does not answer #${number}: ${String(error)}`);
        it.certain &&= VarlogError.is(error) && error.outcome === 'notAppended';
        this.decide(it, it.certain ? 'refused' : 'unknown');
      },
    );
  }

  private decide({ call }: OpenCommand, state: CommandCall['state']): void {
    call.state = state;
    this.undecided--;
  }

  private query(preferred: string): void {
    const found = this.find(preferred);
    if (found === undefined) return;
    const [replica, it] = found;
    const { world } = this.parts;
    const calledMs = world.nowMs;
    it.query(() => it.position).then(
      (position) => {
        if (this.running.get(replica) === it) this.queries.push({ replica, calledMs, position });
      },
      // Who gets no answer was promised nothing.
      () => {},
    );
  }

  /** The replica of this name, or the next one that runs. */
  private find(preferred: string): [string, RunningReplica<Command, Result>] | undefined {
    const { replicas } = this.parts;
    const at = replicas.indexOf(preferred);
    for (const name of [...replicas.slice(at), ...replicas.slice(0, at)]) {
      const replica = this.running.get(name);
      if (replica !== undefined) return [name, replica];
    }
    return undefined;
  }
}
