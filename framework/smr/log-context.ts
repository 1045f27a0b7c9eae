import { type Codec, VarlogError } from '../base/index.ts';
import type { CommandOutcome } from './command-outcome.ts';
import type { Rules } from './rules.ts';
import type { ApplyContext } from './state-machine.ts';
import type { TimerTable } from './timer-table.ts';

const UINT32 = 2 ** 32;
/** A timer is due after the command that schedules it. */
const LEAST_MS = 1;

interface Codecs<Command> {
  readonly command: Codec<Command>;
  readonly change: Codec<unknown>;
}

/** What a context does with timers. */
export type ContextTimers = Pick<TimerTable, 'schedule' | 'unschedule' | 'cancel' | 'put'>;

/** Where a command is applied, and when. */
export interface CommandPlace {
  readonly position: number;
  readonly index: number;
  readonly time: number;
  /** Id of the timer that it comes from; `undefined` where it is the entry's own. */
  readonly timer: number | undefined;
}

/** A command that took effect. */
export interface AppliedCommand {
  readonly place: CommandPlace;
  /** As it lies in the log, or in the table of timers. */
  readonly command: Uint8Array;
  readonly outcome: CommandOutcome;
  /** What the machine emitted. */
  readonly changes: readonly Uint8Array[];
}

/** The context of one command after the other. */
export class LogContext<Command> implements ApplyContext<Command> {
  position = 0;
  index = 0;
  time = 0;
  timer: number | undefined;
  private readonly timers: ContextTimers;
  private readonly codecs: Codecs<Command>;
  private readonly ruleSet: Rules;
  private state = 0;
  private isValid = false;
  /** What takes back all that the command has asked for so far, in that order. */
  private undo: (() => void)[] = [];
  private changes: Uint8Array[] = [];

  constructor(timers: ContextTimers, codecs: Codecs<Command>, rules: Rules) {
    this.timers = timers;
    this.codecs = codecs;
    this.ruleSet = rules;
  }

  // These can be taken out of the context, as in `apply(command, { emit })`.

  /** Mulberry32, seeded by both halves of the position, and by the index. */
  readonly random = (): number => {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / UINT32;
  };

  readonly schedule = (at: number, command: Command): number | undefined => {
    const { timers } = this;
    this.checkValid('schedule');
    if (!Number.isFinite(at)) throw noTime(at);
    const due = Math.max(at, this.time + LEAST_MS);
    const id = timers.schedule(due, this.codecs.command.encode(command));
    if (id !== undefined) this.undo.push(() => timers.unschedule(id));
    return id;
  };

  readonly cancel = (id: number): boolean => {
    const { timers } = this;
    this.checkValid('cancel');
    const timer = timers.cancel(id);
    if (timer !== undefined) this.undo.push(() => timers.put(timer));
    return timer !== undefined;
  };

  readonly emit = (change: unknown): void => {
    this.checkValid('emit');
    this.changes.push(this.codecs.change.encode(change));
  };

  get rules(): number {
    return this.ruleSet.inForce;
  }

  /** Before a command is applied. Throws `APPLY_FAILED` where the machine knows the rules in force no more. */
  begin({ position, index, time, timer }: CommandPlace): void {
    this.ruleSet.check(position);
    this.position = position;
    this.index = index;
    this.time = time;
    this.timer = timer;
    this.isValid = true;
    if (this.undo.length > 0) this.undo = [];
    if (this.changes.length > 0) this.changes = [];
    const high = Math.floor(position / UINT32);
    const place = Math.imul(position >>> 0, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b);
    this.state = place ^ Math.imul(index, 0xc2b2ae35);
  }

  /** After the command: what the machine kept of the context does nothing any more. Returns what it emitted. */
  end(): readonly Uint8Array[] {
    this.isValid = false;
    return this.changes;
  }

  /** Instead of {@link end}, where the command is going to be applied anew. */
  rollback(): void {
    this.end();
    for (const takeBack of this.undo.reverse()) takeBack();
  }

  private checkValid(call: string): void {
    if (this.isValid) return;
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `context.${call} was called after its command had been applied`,
      because: 'what happens then depends on more than the log, and replicas would differ',
      next: `call it in apply, before that returns`,
    });
  }
}

function noTime(at: number): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `a command cannot be scheduled at ${at}`,
    next: 'give milliseconds since 1970, for example context.time + 1_000',
  });
}
