import { type Codec, reasonOf, VarlogError } from '../base/index.ts';
import type { CommandOutcome } from './command-outcome.ts';
import type { CommandPlace } from './log-context.ts';
import { namesOf } from './skip-command.ts';
import type { ApplyContext, StateMachine } from './state-machine.ts';

/** Applies commands as they lie in the log, and encodes what comes of them. */
export class MachineRunner<Command, Result> {
  private readonly machine: StateMachine<Command, Result>;
  private readonly command: Codec<Command>;
  private readonly result: Codec<Result>;

  constructor(
    machine: StateMachine<Command, Result>,
    codecs: { readonly command: Codec<Command>; readonly result: Codec<Result> },
  ) {
    this.machine = machine;
    this.command = codecs.command;
    this.result = codecs.result;
  }

  /** Throws `APPLY_FAILED`; the machine may be changed in part then. */
  run(bytes: Uint8Array, context: ApplyContext<Command>): CommandOutcome {
    const result = this.apply(this.decode(bytes, context), context);
    try {
      return this.result.encode(result);
    } catch {
      return 'unencodable';
    }
  }

  private decode(bytes: Uint8Array, context: ApplyContext<Command>): Command {
    try {
      return this.command.decode(bytes);
    } catch (cause) {
      if (VarlogError.is(cause, 'FORMAT_UNKNOWN')) {
        throw applyFailed(context, 'is of a newer shape than this code of the machine knows', {
          because: cause.message,
          next: 'start the replica with the code that wrote it, or newer: it resumes with this command',
          cause,
        });
      }
      throw applyFailed(context, 'cannot be decoded', {
        because: 'another codec wrote it',
        next: `give the replica that codec, or have all replicas pass over it with ${skipOf(context)}`,
        cause,
      });
    }
  }

  private apply(command: Command, context: ApplyContext<Command>): Result {
    let result: Result;
    try {
      result = this.machine.apply(command, context);
    } catch (cause) {
      throw applyFailed(context, `cannot be applied: the machine threw "${reasonOf(cause)}"`, {
        because: 'a refused command must be a result; an exception is a bug in the machine',
        next: `correct the machine and start the replica again: it resumes with this command; or have all replicas pass over it with ${skipOf(context)}`,
        cause,
      });
    }
    if (!isPromise(result)) return result;
    result.then(undefined, () => {});
    throw applyFailed(context, 'was answered with a promise', {
      because:
        'what happens behind a promise depends on more than the log, and replicas would differ',
      next: 'make `apply` synchronous: do what must be awaited before the command is executed',
    });
  }
}

/** Whether it can be awaited: what `apply` must not return. */
export function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

type Place = Pick<CommandPlace, 'position' | 'timer'>;

function skipOf({ position, timer }: Place): string {
  return namesOf(position, timer).skip;
}

function applyFailed(
  { position, timer }: Place,
  how: string,
  parts: { because: string; next: string; cause?: unknown },
): VarlogError {
  const what = `${namesOf(position, timer).what} ${how}`;
  return new VarlogError('APPLY_FAILED', { what, ...parts, details: { position, timer } });
}
