import { type Codec, type Followed, reasonOf, VarlogError } from '../base/index.ts';
import { versionOf } from './codecs.ts';
import { type Difference, firstDifference } from './first-difference.ts';
import { checkDefinition } from './machine-checks.ts';
import type { MachineDefinition } from './machine-definition.ts';
import { Pieces } from './pieces.ts';
import { ReplayedMachine, type ReplayRange } from './replayed-machine.ts';
import type { Applied } from './replica-options.ts';

/** Commands between comparisons of whole states, where nothing else is said. */
export const STATE_EVERY = 1_000;

/** Two versions of a machine, and from where on they are compared. */
export interface PairOptions {
  /** The machine as it was: `left` in what is found. */
  against: MachineDefinition;
  /** As it is to be: `right`. The same definition twice finds what is not deterministic. */
  machine: MachineDefinition;
  /**
   * Up to this position the old one applies alone. Then the new one takes over its state, as a replica of new code takes over
   * a snapshot of old code, and they are compared from there on.
   */
  forkAt?: number;
}

/** Where two machines part. */
export interface ReplayDifference extends Difference {
  /** Of the entry behind which they differ. */
  readonly position: number;
  /**
   * Here they were still equal. Where it is not the command before, no more is known: the machine did something else when it was
   * replayed once more, or what it would have begun with is not stored any more.
   */
  readonly after: number;
  /** `failure`: one of them could not apply it. */
  readonly kind: 'result' | 'state' | 'failure';
  /** The command there; `undefined` where the entry was none of this machine. */
  readonly command?: unknown;
}

/** Two machines at the same place of a log. */
export class MachinePair {
  private readonly left: ReplayedMachine;
  private readonly right: ReplayedMachine;
  /** All entries up to here were taken by both. */
  position: number;
  /** How many commands took effect since they are compared. */
  commands = 0;
  difference: ReplayDifference | undefined;
  /** Whether the states were equal at the command before, so that no other one can be the first. */
  isExact = true;
  /** The last position at which the states were found to be equal. */
  equalAt = 0;
  /** Commands since the states were compared. */
  private unseen = 0;
  private last: Applied<unknown, unknown> | undefined;

  private constructor(left: ReplayedMachine, right: ReplayedMachine) {
    this.left = left;
    this.right = right;
    this.position = Math.min(left.position, right.position);
    this.compareStates();
  }

  /**
   * They begin with nothing, or with a stored snapshot that is not beyond `upTo`. Rejects like {@link ReplayedMachine.open}, and with
   * what one of them fails with before they are at the same place.
   */
  static async open(options: PairOptions, range: ReplayRange, upTo?: number): Promise<MachinePair> {
    const { against, machine, forkAt } = options;
    checkDefinition(against, '`against`');
    checkDefinition(machine, '`machine`');
    checkSame(against, machine);
    const left = await ReplayedMachine.open(against, range, forkAt ?? upTo);
    let right: ReplayedMachine | undefined;
    try {
      if (forkAt === undefined) {
        right = await ReplayedMachine.open(machine, range, upTo);
        // A newer snapshot may have been stored in between.
        await left.reach(right.position);
        await right.reach(left.position);
      } else {
        await left.reach(forkAt);
        right = await left.handOver(machine);
      }
      return new MachinePair(left, right);
    } catch (error) {
      await Promise.all([left.close(), right?.close()]);
      throw error;
    }
  }

  /** The new version. */
  get machine(): unknown {
    return this.right.machine;
  }

  /**
   * Has both apply what comes next. Compares what they answer; and their states at every `stateEvery`th command, and at
   * every one behind the position `denseAfter`. Rejects with the error of a command that neither of them can apply.
   */
  async take(
    next: Followed,
    stateEvery: number,
    denseAfter = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    if (this.position >= denseAfter) this.compareUnseen();
    if (this.difference !== undefined) return;
    const position = next.kind === 'snapshot' ? next.position : next.through;
    await this.applyBoth(next, position);
    this.position = position;
    const isDue = this.unseen >= (position > denseAfter ? 1 : stateEvery);
    if (isDue || next.kind === 'snapshot') this.compareStates();
  }

  /** Compares the states, where commands took effect since they were compared. */
  compareUnseen(): void {
    if (this.unseen > 0) this.compareStates();
  }

  /** Throws `NOT_FOUND` where all that it took was somebody else's. */
  checkName(): void {
    this.right.checkName();
  }

  async close(): Promise<void> {
    await Promise.all([this.left.close(), this.right.close()]);
  }

  private async applyBoth(next: Followed, position: number): Promise<void> {
    const { left, right } = this;
    const [old, young] = [await left.take(next), await right.take(next)];
    const count = Math.max(old.length, young.length);
    this.commands += count;
    this.isExact = this.unseen === 0;
    this.unseen += count;
    this.last = young.at(-1) ?? old.at(-1);
    if (left.failure !== undefined && right.failure !== undefined) throw left.failure;
    if (left.failure !== undefined || right.failure !== undefined) {
      const said = (it: ReplayedMachine): string =>
        it.failure === undefined ? 'applied it' : reasonOf(it.failure);
      this.found('failure', position, { path: '$', left: said(left), right: said(right) });
      return;
    }
    const [from, into] = [left.definition.codec?.result, right.definition.codec?.result];
    const results = old.map(({ result }) => reshaped(result, from, into));
    const answers = young.map(({ result }) => result);
    if (results.length !== answers.length) {
      this.found('result', position, firstDifference(results, answers));
      return;
    }
    // Several where timers were due: the command that is named is the one that differs.
    for (const [i, answer] of answers.entries()) {
      const difference = firstDifference(results[i], answer);
      if (difference === undefined) continue;
      this.last = young[i];
      this.found('result', position, difference);
      return;
    }
  }

  private compareStates(): void {
    const { left, right, position } = this;
    if (this.difference !== undefined) return;
    const [from, into] = [left.definition.codec?.snapshot, right.definition.codec?.snapshot];
    const state = reshaped(left.machine.snapshot(), from, into);
    this.found('state', position, firstDifference(state, right.machine.snapshot()));
    this.unseen = 0;
    if (this.difference === undefined) this.equalAt = position;
  }

  private found(
    kind: ReplayDifference['kind'],
    position: number,
    difference: Difference | undefined,
  ): void {
    if (difference === undefined || this.difference !== undefined) return;
    const { equalAt: after, last } = this;
    const command = last === undefined ? {} : { command: last.command };
    this.difference = { ...difference, kind, position, after, ...command };
  }
}

/** Throws `INVALID_ARGUMENT` where the two are not one machine. */
function checkSame(one: MachineDefinition, other: MachineDefinition): void {
  const [a, b] = [one.name ?? 'machine', other.name ?? 'machine'];
  if (a === b) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `one machine has the name "${a}", and the other "${b}"`,
    because: 'commands carry the name of their machine, so the two apply different ones',
    next: 'give two versions of the same machine',
  });
}

/** A value of one shape in the shape that another codec has. */
function reshaped(
  value: unknown,
  from: Codec<unknown> | undefined,
  into: Codec<unknown> | undefined,
): unknown {
  if (from === undefined || into === undefined || versionOf(from) === versionOf(into)) return value;
  if (!Pieces.is(value)) return into.decode(from.encode(value));
  return [...value.begin()].map((piece) => into.decode(from.encode(piece)));
}
