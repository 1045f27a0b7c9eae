import { type Observable, Subject } from 'rxjs';
import type { Clock } from '../base/index.ts';
import type { Admission } from './admission.ts';
import type { CommandCodecs } from './codecs.ts';
import { type CommandOutcome, resultOf } from './command-outcome.ts';
import type { CommandQueue } from './command-queue.ts';
import { checkSpeculate } from './execute-options.ts';
import type { AppliedCommand } from './log-context.ts';
import type { Settle } from './pending-command.ts';
import { writesNothing } from './read-only-log.ts';
import type { Settled, SpeculateOptions, Speculation, SpeculationEvent } from './speculation.ts';
import { cannotGuess, isBeingReplaced, notForkable, sharesState } from './speculation-errors.ts';
import type { StateMachine } from './state-machine.ts';
import { isSame, TentativeMachine } from './tentative-machine.ts';

export interface SpeculatorParts<Command, Result, Machine> {
  readonly machine: Machine & StateMachine<Command, Result>;
  readonly codecs: CommandCodecs<Command, Result>;
  readonly admission: Admission;
  readonly queue: CommandQueue<Command, Result>;
  readonly clock: Clock;
  readonly readOnly: boolean;
  /** Position of the entry that is being applied, or was last. */
  readonly position: () => number;
  /** Whether the machine may be changed in part, so that it cannot be forked. */
  readonly isMidway: () => boolean;
}

/**
 * Answers commands before the log has them, on a fork of the machine, and says afterwards whether that was right. It decides
 * nothing: commands go the same way as all others, and the machine itself is changed by what the log has, and that alone.
 *
 * ```
 *   machine   ──────── own 1 ─────── other ──────── own 2 ──▶
 *                 │                    └ the fork is dropped, and made anew when it is asked again
 *   fork          └ own 1, own 2, …  tentative answers
 * ```
 */
export class Speculator<Command, Result, Machine> {
  readonly settled$: Observable<SpeculationEvent<Command, Result>>;
  private readonly parts: SpeculatorParts<Command, Result, Machine>;
  private readonly events = new Subject<SpeculationEvent<Command, Result>>();
  private fork: TentativeMachine<Command, Result> | undefined;

  constructor(parts: SpeculatorParts<Command, Result, Machine>) {
    this.parts = parts;
    this.settled$ = this.events.asObservable();
    parts.queue.watch((sequence) => {
      if (this.fork?.has(sequence)) this.drop();
    });
  }

  /** Hands a command in, and answers it at once. One that has no tentative answer is not sent. */
  async speculate(command: Command, options: SpeculateOptions): Promise<Speculation<Result>> {
    const { queue, readOnly } = this.parts;
    checkSpeculate(options);
    this.checkForkable();
    if (readOnly) throw writesNothing();
    let settle: Settle = () => {};
    const pending = queue.submit(command, { ...options, whenFull: 'fail' }, (error, outcome) =>
      settle(error, outcome),
    );
    try {
      const guess = this.caughtUp().outcomeOf(pending.sequence);
      const tentative = this.tentative(guess);
      const settled = new Promise<Settled<Result>>((resolve, reject) => {
        settle = (error, outcome) => {
          const end = this.endOf(guess, error, outcome);
          if (end.kind === 'failed') reject(end.error);
          else resolve(end);
          // Values of their own for each: whoever is given one may change it.
          if (this.events.observed)
            this.tell(pending.command, guess, this.endOf(guess, error, outcome));
        };
      });
      settled.catch(() => {});
      return { tentative, settled };
    } catch (error) {
      queue.giveUp(pending, error);
      throw error;
    }
  }

  /** Looks at the machine as it will be when all that this replica has under way has taken effect, and nothing else. */
  look<T>(look: (machine: Machine) => T): T {
    const { machine, queue } = this.parts;
    this.checkForkable();
    return look(queue.isIdle ? machine : (this.caughtUp().machine as unknown as Machine));
  }

  /** A command was applied to the machine itself; it was handed in here if it has a session and a sequence of this replica. */
  applied({ place, outcome }: AppliedCommand, session: number, sequence: number): void {
    const { fork } = this;
    if (fork === undefined) return;
    const own = this.parts.queue.find(session, sequence)?.sequence;
    if (!fork.isBehind(own, place, outcome) || fork.isWornOut) this.drop();
  }

  /** The machine comes to something else than was guessed. */
  drop(): void {
    this.fork = undefined;
  }

  end(): void {
    this.events.complete();
  }

  private checkForkable(): void {
    if (this.parts.machine.fork === undefined) throw notForkable();
  }

  /** The fork, with all that is under way applied to it. */
  private caughtUp(): TentativeMachine<Command, Result> {
    const { machine, codecs, admission, queue, clock } = this.parts;
    if (this.parts.isMidway()) throw isBeingReplaced();
    if (this.fork?.rules !== admission.rules.inForce) this.drop();
    try {
      if (this.fork === undefined) {
        const copy = machine.fork!();
        if (copy === machine) throw sharesState();
        this.fork = new TentativeMachine(copy, codecs, admission);
      }
      const { fork } = this;
      for (const pending of queue.after(fork.through)) {
        const position = this.parts.position() + 1 + fork.size;
        const time = admission.timeAfter(queue.currentSession, clock.wall());
        fork.run(pending, { position, index: 0, time, timer: undefined });
      }
      return fork;
    } catch (error) {
      // It may be changed in part.
      this.drop();
      throw cannotGuess(error);
    }
  }

  private tentative(guess: CommandOutcome): Result {
    try {
      return resultOf(guess, this.parts.codecs.result);
    } catch (error) {
      // As `execute` would refuse it.
      throw guess === 'requestMismatch' || guess === 'skipped' ? error : cannotGuess(error);
    }
  }

  private endOf(guess: CommandOutcome, error: unknown, outcome?: CommandOutcome): End<Result> {
    if (outcome === undefined) return { kind: 'failed', error };
    try {
      const result = resultOf(outcome, this.parts.codecs.result);
      const kind = isSame(guess, outcome) ? 'confirmed' : 'rolledBack';
      return { kind, result, position: this.parts.position() };
    } catch (refused) {
      return { kind: 'failed', error: refused };
    }
  }

  private tell(bytes: Uint8Array, guess: CommandOutcome, end: End<Result>): void {
    const { codecs } = this.parts;
    const command = codecs.command.decode(bytes);
    this.events.next({ command, tentative: resultOf(guess, codecs.result), ...end });
  }
}

/** How a speculation ends. */
type End<Result> = Settled<Result> | { readonly kind: 'failed'; readonly error: unknown };
