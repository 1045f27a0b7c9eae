import { SequenceMap } from '../base/index.ts';
import type { Admission } from './admission.ts';
import type { CommandCodecs } from './codecs.ts';
import type { CommandOutcome } from './command-outcome.ts';
import type { CommandPlace } from './log-context.ts';
import { MachineRunner } from './machine-runner.ts';
import type { PendingCommand } from './pending-command.ts';
import type { StateMachine } from './state-machine.ts';
import { type Seen, TentativeContext } from './tentative-context.ts';
import { TentativeTimers } from './tentative-timers.ts';

/** After so many commands that came as they were guessed, and all those under way, a fork shares little with its machine. */
const KEPT = 1_024;

/** A command that is under way. */
type Asked = Pick<PendingCommand, 'sequence' | 'requestId' | 'command'>;

/** What a command came to on a fork. */
interface Guess {
  readonly place: CommandPlace;
  readonly seen: Seen;
  readonly outcome: CommandOutcome;
}

/**
 * A machine in the state that the replica's own will have, if what this replica has under way is what is applied next, in its
 * order. It is good for as long as that comes true, and is thrown away then: it never becomes the machine.
 */
export class TentativeMachine<Command, Result> {
  readonly machine: StateMachine<Command, Result>;
  /** In force when it was made. */
  readonly rules: number;
  /** Sequence of the last command that was applied to it. */
  through = 0;
  private readonly runner: MachineRunner<Command, Result>;
  private readonly context: TentativeContext<Command>;
  /** By sequence: those under way. */
  private readonly guesses = new SequenceMap<Guess>();
  private readonly decidedBefore: Admission['decidedBefore'];
  /** By request id, the first one of it that was applied: a repetition comes to the same. */
  private readonly requests = new Map<string, { command: Uint8Array; outcome: CommandOutcome }>();
  private confirmed = 0;
  private time = 0;

  constructor(
    machine: StateMachine<Command, Result>,
    codecs: CommandCodecs<Command, Result>,
    admission: Pick<Admission, 'timers' | 'rules' | 'decidedBefore'>,
  ) {
    const { timers, rules } = admission;
    this.machine = machine;
    this.rules = rules.inForce;
    this.runner = new MachineRunner(machine, codecs);
    this.context = new TentativeContext(new TentativeTimers(timers), codecs, rules);
    this.decidedBefore = admission.decidedBefore.bind(admission);
  }

  /** How many of the commands that were applied to it are under way. */
  get size(): number {
    return this.guesses.size;
  }

  has(sequence: number): boolean {
    return this.guesses.has(sequence);
  }

  /** What a command that is under way came to. */
  outcomeOf(sequence: number): CommandOutcome {
    return (this.guesses.get(sequence) as Guess).outcome;
  }

  /** Applies what comes next. Throws like {@link MachineRunner.run}: then the fork is of no use any more. */
  run({ sequence, requestId, command }: Asked, guessed: CommandPlace): void {
    const { context } = this;
    // The clock may have been set back; the log's time never goes back.
    this.time = Math.max(this.time, guessed.time);
    const place = { ...guessed, time: this.time };
    context.begin(place);
    const outcome = this.knownOutcome(requestId, command) ?? this.runner.run(command, context);
    if (requestId.length > 0) this.remember(requestId, { command, outcome });
    this.guesses.set(sequence, { place, seen: context.end(), outcome });
    this.through = sequence;
  }

  /**
   * A command was applied to the machine itself, with this `outcome`. Whether the fork still is what the machine comes to with
   * the rest: that was the next one of those that were applied to it, came to the same, and what it saw of its place was so.
   */
  isBehind(sequence: number | undefined, place: CommandPlace, outcome: CommandOutcome): boolean {
    const { guesses } = this;
    if (sequence === undefined || sequence !== guesses.firstKey) return false;
    const guess = guesses.get(sequence) as Guess;
    guesses.delete(sequence);
    this.confirmed++;
    const { position, index, time } = guess.place;
    if (guess.seen.place && (position !== place.position || index !== place.index)) return false;
    if (guess.seen.time && time !== place.time) return false;
    return isSame(guess.outcome, outcome);
  }

  /** What a request comes to that is not asked for the first time. */
  private knownOutcome(requestId: Uint8Array, command: Uint8Array): CommandOutcome | undefined {
    const before = requestId.length === 0 ? undefined : this.requests.get(nameOf(requestId));
    if (before === undefined) return this.decidedBefore(requestId, command);
    return Buffer.compare(before.command, command) === 0 ? before.outcome : 'requestMismatch';
  }

  private remember(requestId: Uint8Array, it: { command: Uint8Array; outcome: CommandOutcome }) {
    const name = nameOf(requestId);
    if (!this.requests.has(name)) this.requests.set(name, it);
  }

  /** Whether a new one is better: it has a copy of all that was written since this one was made. */
  get isWornOut(): boolean {
    return this.size === 0 || this.confirmed > Math.max(KEPT, this.size);
  }
}

function nameOf(requestId: Uint8Array): string {
  return Buffer.from(requestId).toString('latin1');
}

export function isSame(one: CommandOutcome, other: CommandOutcome): boolean {
  if (typeof one === 'string' || typeof other === 'string') return one === other;
  return Buffer.compare(one, other) === 0;
}
