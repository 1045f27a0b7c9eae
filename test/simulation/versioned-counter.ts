import type { ApplyContext, StateMachine } from '../../framework/smr/index.ts';

export type Command =
  /** A timer's command has the id of the one that set it, negative. */
  | { readonly op: 'add'; readonly id: number }
  | { readonly op: 'later'; readonly id: number; readonly ms: number; readonly again: boolean };

interface State {
  readonly value: number;
  readonly pending: number;
}

/** Counts differently by each version of its rules, and sets its timers differently, too. */
export class Counter implements StateMachine<Command, string, State> {
  value = 0;
  pending = 0;
  readonly rules: number;
  constructor(code: number) {
    this.rules = code;
  }
  apply(command: Command, context: ApplyContext<Command>): string {
    const { rules } = context;
    if (context.timer !== undefined) this.pending--;
    this.value = (this.value * (rules + 1) + command.id) % 1_000_003;
    if (command.op === 'later' && this.schedule(command, context)) this.pending++;
    return `${this.value} by ${rules}, ${this.pending} to come`;
  }
  snapshot(): State {
    const { value, pending } = this;
    return { value, pending };
  }
  restore({ value, pending }: State): void {
    this.value = value;
    this.pending = pending;
  }
  private schedule(command: Command & { op: 'later' }, context: ApplyContext<Command>): boolean {
    const { rules, time } = context;
    const { ms, again } = command;
    const id = -Math.abs(command.id);
    const next: Command =
      again && rules >= 2 ? { ...command, id, again: false } : { op: 'add', id };
    return context.schedule(time + ms * rules, next) !== undefined;
  }
}
