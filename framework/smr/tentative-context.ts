import type { CommandCodecs } from './codecs.ts';
import { type CommandPlace, type ContextTimers, LogContext } from './log-context.ts';
import type { Rules } from './rules.ts';
import type { ApplyContext } from './state-machine.ts';

/** What of its context, which is guessed, a command has looked at. */
export interface Seen {
  readonly place: boolean;
  readonly time: boolean;
}

/** The context of commands that are applied before the log has them. It remembers whether they depend on what it guesses. */
export class TentativeContext<Command> implements ApplyContext<Command> {
  readonly timer = undefined;
  private readonly context: LogContext<Command>;
  private place = false;
  private clock = false;

  constructor(timers: ContextTimers, codecs: CommandCodecs<Command, unknown>, rules: Rules) {
    this.context = new LogContext(timers, codecs, rules);
  }

  readonly random = (): number => {
    this.place = true;
    return this.context.random();
  };

  readonly schedule = (at: number, command: Command): number | undefined =>
    this.context.schedule(at, command);

  readonly cancel = (timer: number): boolean => this.context.cancel(timer);

  /** Encoded, as what cannot be is refused here too, and told nobody. */
  readonly emit = (change: unknown): void => this.context.emit(change);

  get position(): number {
    this.place = true;
    return this.context.position;
  }

  get index(): number {
    this.place = true;
    return this.context.index;
  }

  get time(): number {
    this.clock = true;
    return this.context.time;
  }

  get rules(): number {
    return this.context.rules;
  }

  /** Before a command is applied. Throws `APPLY_FAILED` where the machine knows the rules in force no more. */
  begin(place: CommandPlace): void {
    this.context.begin(place);
    this.place = false;
    this.clock = false;
  }

  /** After it. */
  end(): Seen {
    this.context.end();
    return { place: this.place, time: this.clock };
  }
}
