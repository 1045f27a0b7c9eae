import { SequenceMap } from '../base/index.ts';
import type { Admission } from './admission.ts';
import type { CommandCodecs } from './codecs.ts';
import type { CommandOutcome } from './command-outcome.ts';
import type { CommandPlace } from './log-context.ts';
import { MachineRunner } from './machine-runner.ts';
import type { StateMachine } from './state-machine.ts';
import { type Seen, TentativeContext } from './tentative-context.ts';
import { TentativeTimers } from './tentative-timers.ts';

/** After so many commands that came as they were guessed, and all those under way, a fork shares little with its machine. */
const KEPT = 1_024;

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
  private confirmed = 0;
  private time = 0;

  constructor(
    machine: StateMachine<Command, Result>,
    codecs: CommandCodecs<Command, Result>,
    { timers, rules }: Pick<Admission, 'timers' | 'rules'>,
  ) {
    this.machine = machine;
    this.rules = rules.inForce;
    this.runner = new MachineRunner(machine, codecs);
    this.context = new TentativeContext(new TentativeTimers(timers), codecs, rules);
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
  run(sequence: number, command: Uint8Array, guessed: CommandPlace): void {
    const { context } = this;
    // The clock may have been set back; the log's time never goes back.
    this.time = Math.max(this.time, guessed.time);
    const place = { ...guessed, time: this.time };
    context.begin(place);
    const outcome = this.runner.run(command, context);
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

  /** Whether a new one is better: it has a copy of all that was written since this one was made. */
  get isWornOut(): boolean {
    return this.size === 0 || this.confirmed > Math.max(KEPT, this.size);
  }
}

export function isSame(one: CommandOutcome, other: CommandOutcome): boolean {
  if (typeof one === 'string' || typeof other === 'string') return one === other;
  return Buffer.compare(one, other) === 0;
}
