import { type Codec, VarlogError } from '../../base/index.ts';
import { briefly } from '../../smr/first-difference.ts';
import type { ExecuteOptions, Speculation } from '../../smr/index.ts';
import { fingerprint } from '../simulator/trace.ts';
import type { World } from '../simulator/world.ts';
import { brokenFork } from './forks.ts';
import { type CommandCall, lost, type QueryCall } from './history.ts';
import { Numbered } from './observed-machine.ts';
import type { PlannedCall } from './plan.ts';
import type { Story } from './story.ts';

/** So long a client waits that finds no replica running. */
const SEARCH_MS = 20;

interface Parts<Command, Result> {
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
  readonly world: World;
  readonly story: Story;
  /** All replicas, running or not. */
  readonly replicas: readonly string[];
}

/** What clients ask of a replica. */
export interface AskedReplica<Command, Result> {
  readonly position: number;
  execute(command: Numbered<Command>, options: ExecuteOptions): Promise<Result>;
  /** A linearizable query for the position. */
  askPosition(): Promise<number>;
  /** The state of the machine, encoded, where it is to be had at once. */
  state?(): Uint8Array;
  /** Where the machine can be forked. */
  speculate?(command: Numbered<Command>, options: ExecuteOptions): Promise<Speculation<Result>>;
}

/** A replica that takes calls, and whom to tell when it is gone. */
interface Member<Command, Result> {
  readonly name: string;
  readonly replica: AskedReplica<Command, Result>;
  readonly open: Set<() => void>;
}

/** What a client does when a call has ended, in one way or another. */
interface Endings<T> {
  answered(value: T): void;
  failed(error: unknown): void;
  /** Its replica is gone. */
  lost(): void;
}

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
  private readonly members = new Map<string, Member<Command, Result>>();
  /** Commands and queries that somebody waits for. */
  private waiting = 0;

  constructor(parts: Parts<Command, Result>) {
    this.parts = parts;
  }

  /** Whether everything has been answered, refused or given up. */
  get areThrough(): boolean {
    return this.waiting === 0;
  }

  /** From now on a replica takes calls. */
  joined(name: string, replica: AskedReplica<Command, Result>): void {
    this.members.set(name, { name, replica, open: new Set() });
  }

  /** A replica is gone, and what it was asked will not be answered. */
  left(name: string): void {
    const { open } = this.members.get(name) ?? { open: new Set() };
    this.members.delete(name);
    for (const lost of [...open]) {
      open.delete(lost);
      lost();
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
    this.waiting++;
    this.send({ planned, call, certain: true });
  }

  private send(it: OpenCommand): void {
    const { world, story } = this.parts;
    const { planned, call } = it;
    const { number, repeated, speculated } = planned;
    const member = this.find(planned.replica);
    if (member === undefined) {
      world.after(SEARCH_MS, () => this.send(it));
      return;
    }
    const { name, replica } = member;
    const command = this.parts.command.decode(planned.command);
    story.tell(() => `${name} is given #${number} ${briefly(command)}`);
    const request = repeated ? { requestId: `request ${number}` } : {};
    const numbered = new Numbered(number, command);
    const asked = speculated
      ? this.speculate(member, numbered, request)
      : replica.execute(numbered, request);
    this.wait(member, asked, {
      answered: (result) => {
        story.tell(() => `${name} answers #${number}: ${briefly(result)}`);
        call.result = this.parts.result.encode(result);
        call.returnedMs = world.nowMs;
        this.decide(it, 'answered');
      },
      failed: (error) => {
        story.tell(() => `${name} does not answer #${number}: ${error}`);
        it.certain &&= VarlogError.is(error) && error.outcome === 'notAppended';
        this.decide(it, it.certain ? 'refused' : 'unknown');
      },
      lost: () => {
        it.certain = false;
        if (repeated) this.send(it);
        else this.decide(it, 'unknown');
      },
    });
  }

  /** Resolves with the settled result, once it is known to be what was said about the tentative one. */
  private async speculate(
    { name, replica }: Member<Command, Result>,
    command: Numbered<Command>,
    request: ExecuteOptions,
  ): Promise<Result> {
    const { world, story } = this.parts;
    const { number } = command;
    try {
      const before = replica.state!();
      const calling = replica.speculate!(command, request);
      if (Buffer.compare(before, replica.state!()) !== 0)
        world.fail(brokenFork(replica.position, 'the state has what was answered tentatively'));
      const { tentative, settled } = await calling;
      story.tell(() => `${name} answers #${number} tentatively: ${briefly(tentative)}`);
      const guessed = this.parts.result.encode(tentative);
      world.note(`${name} guesses #${number} ${fingerprint(guessed)}`);
      const { kind, result, position } = await settled;
      story.tell(() => `${name} says that this is ${kind}`);
      const isRight = Buffer.compare(guessed, this.parts.result.encode(result)) === 0;
      if (isRight !== (kind === 'confirmed')) {
        const was = isRight ? 'right' : 'wrong';
        world.fail(lost(position, `the answer to command #${number} was ${was}, and is ${kind}`));
      }
      return result;
    } catch (error) {
      // The command was not sent, so that no replica will fail by it.
      if (VarlogError.is(error, 'APPLY_FAILED') || VarlogError.is(error, 'FAILED_PRECONDITION'))
        world.fail(error);
      throw error;
    }
  }

  private decide({ call }: OpenCommand, state: CommandCall['state']): void {
    call.state = state;
    this.waiting--;
  }

  private query(preferred: string): void {
    const member = this.find(preferred);
    if (member === undefined) return;
    const { name, replica } = member;
    const { world, story } = this.parts;
    const calledMs = world.nowMs;
    story.tell(() => `${name} is asked`);
    this.waiting++;
    const asked = replica.askPosition();
    this.wait(member, asked, {
      answered: (position) => {
        story.tell(() => `${name} answers what it was asked, as of position ${position}`);
        this.queries.push({ replica: name, calledMs, position });
        this.waiting--;
      },
      failed: (error) => {
        story.tell(() => `${name} does not answer: ${error}`);
        this.waiting--;
      },
      // Who gets no answer was promised nothing.
      lost: () => this.waiting--,
    });
  }

  private wait<T>(member: Member<Command, Result>, asked: Promise<T>, end: Endings<T>): void {
    const lost = (): void => end.lost();
    member.open.add(lost);
    const once = (then: () => void): void => {
      if (member.open.delete(lost)) then();
    };
    asked.then(
      (value) => once(() => end.answered(value)),
      (error: unknown) => once(() => end.failed(error)),
    );
  }

  /** The replica of this name, or the next one that runs. */
  private find(preferred: string): Member<Command, Result> | undefined {
    const { replicas } = this.parts;
    const at = replicas.indexOf(preferred);
    const order = [...replicas.slice(at), ...replicas.slice(0, at)];
    return order.map((it) => this.members.get(it)).find((it) => it !== undefined);
  }
}
