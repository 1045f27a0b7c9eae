import { type Codec, type Followed, reasonOf, VarlogError } from '../base/index.ts';
import { versionOf } from './codecs.ts';
import { type Difference, firstDifference } from './first-difference.ts';
import { checkDefinition } from './machine-checks.ts';
import type { MachineDefinition } from './machine-definition.ts';
import { checkCount } from './option-checks.ts';
import { Pieces } from './pieces.ts';
import { endOf, entriesOf, ReplayedMachine, type ReplayRange } from './replayed-machine.ts';
import type { Applied } from './replica-options.ts';

const STATE_EVERY = 1_000;

export interface ReplayOptions {
  /** The machine as it was: `left` in what is found. */
  against: MachineDefinition;
  /** As it is to be: `right`. The same definition twice finds what is not deterministic. */
  machine: MachineDefinition;
  /** The last position. Default: the tail. */
  to?: number;
  /**
   * Commands between comparisons of the whole states. Where they differ, what lies between is replayed once more and
   * compared at each command. Default: 1,000.
   */
  stateEvery?: number;
}

/** Where two machines part. */
export interface ReplayDifference extends Difference {
  /** Of the entry behind which they differ. */
  readonly position: number;
  /**
   * Here they were still equal. Where it is not the command before: the machine did something else when it was replayed
   * once more, so that no more is known.
   */
  readonly after: number;
  /** `failure`: one of them could not apply it. */
  readonly kind: 'result' | 'state' | 'failure';
  /** The command there; `undefined` where the entry was none of this machine. */
  readonly command?: unknown;
}

export interface ReplayVerdict {
  /** How many commands took effect. */
  readonly commands: number;
  /** The last position that was compared. */
  readonly position: number;
  /** `undefined` where there is none. */
  readonly difference?: ReplayDifference;
}

/** Replays a log through two machines, step by step, and compares results and states. */
export class Replay {
  private readonly options: ReplayOptions;
  private readonly range: ReplayRange;

  /** Throws `INVALID_ARGUMENT` where the two are not one machine, or one of them is none. */
  constructor(options: ReplayOptions, range: ReplayRange) {
    checkDefinition(options.against, '`against`');
    checkDefinition(options.machine, '`machine`');
    checkCount(options.stateEvery, 'stateEvery');
    const [a, b] = [options.against.name ?? 'machine', options.machine.name ?? 'machine'];
    if (a !== b) {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `one machine has the name "${a}", and the other "${b}"`,
        because: 'commands carry the name of their machine, so the two apply different ones',
        next: 'give two versions of the same machine',
      });
    }
    this.options = options;
    this.range = range;
  }

  /** Rejects with the error of a command that neither of them can apply, and with errors of the log. */
  async run(): Promise<ReplayVerdict> {
    const { stateEvery = STATE_EVERY } = this.options;
    const to = await endOf(this.range, this.options.to);
    const { verdict, isExact } = await this.pass(to, stateEvery, Number.POSITIVE_INFINITY);
    const found = verdict.difference;
    if (found === undefined || isExact) return verdict;
    const { verdict: closer } = await this.pass(found.position, stateEvery, found.after);
    return closer.difference === undefined ? verdict : closer;
  }

  /** Compares states at every `stateEvery`th command, and at every one behind the position `denseAfter`. */
  private async pass(
    to: number,
    stateEvery: number,
    denseAfter: number,
  ): Promise<{ verdict: ReplayVerdict; isExact: boolean }> {
    const { log, signal } = this.range;
    const left = await ReplayedMachine.open(this.options.against, this.range);
    const right = await ReplayedMachine.open(this.options.machine, this.range);
    const pair = new Pair(left, right);
    try {
      let begun = Math.min(left.position, right.position);
      pair.compareStates(begun);
      for await (const next of entriesOf(log, begun, to, signal)) {
        if (pair.difference !== undefined) break;
        if (begun >= denseAfter && pair.unseen > 0) pair.compareStates(begun);
        const position = next.kind === 'snapshot' ? next.position : next.through;
        await pair.take(next, position);
        const isDue = pair.unseen >= (position > denseAfter ? 1 : stateEvery);
        if (isDue || next.kind === 'snapshot') pair.compareStates(position);
        begun = position;
      }
      if (pair.unseen > 0) pair.compareStates(begun);
      if (pair.difference === undefined) right.checkName();
      const { commands, difference, isExact } = pair;
      const verdict = { commands, position: begun };
      return { verdict: difference === undefined ? verdict : { ...verdict, difference }, isExact };
    } finally {
      await Promise.all([left.close(), right.close()]);
    }
  }
}

/** Two machines at the same place of a log. */
class Pair {
  private readonly left: ReplayedMachine;
  private readonly right: ReplayedMachine;
  commands = 0;
  /** Commands since the states were compared. */
  unseen = 0;
  difference: ReplayDifference | undefined;
  /** Whether the states were equal at the command before, so that no other one can be the first. */
  isExact = true;
  private equalAt = 0;
  private last: Applied<unknown, unknown> | undefined;

  constructor(left: ReplayedMachine, right: ReplayedMachine) {
    this.left = left;
    this.right = right;
  }

  async take(next: Followed, position: number): Promise<void> {
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

  compareStates(position: number): void {
    const { left, right } = this;
    if (this.difference !== undefined) return;
    const [from, into] = [left.definition.codec?.snapshot, right.definition.codec?.snapshot];
    const state = reshaped(left.machine.snapshot(), from, into);
    this.found('state', position, firstDifference(state, right.machine.snapshot()));
    this.unseen = 0;
    this.equalAt = position;
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
