import type { Codec } from '../../base/index.ts';
import type { ApplyContext, StateMachine } from '../../smr/index.ts';
import type { CommandPlace } from '../../smr/log-context.ts';

const NUMBER_BYTES = 4;

/** A command that a client gave a number, by which it is known wherever it turns up. */
export class Numbered<Command> {
  readonly number: number;
  readonly command: Command;

  constructor(number: number, command: Command) {
    this.number = number;
    this.command = command;
  }
}

/** Commands with their numbers. What a machine proposes itself has none: 0. */
export function numberedCodec<Command>(codec: Codec<Command>): Codec<Numbered<Command>> {
  return {
    encode: (it: Numbered<Command> | Command) => {
      const [number, command] = it instanceof Numbered ? [it.number, it.command] : [0, it];
      const own = codec.encode(command);
      const bytes = new Uint8Array(NUMBER_BYTES + own.length);
      new DataView(bytes.buffer).setUint32(0, number);
      bytes.set(own, NUMBER_BYTES);
      return bytes;
    },
    decode: (bytes) => {
      const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
      return new Numbered(number, codec.decode(bytes.subarray(NUMBER_BYTES)));
    },
  };
}

/** A command that a machine has just applied. */
export interface AppliedCommand<Result> extends CommandPlace {
  readonly number: number;
  /** As it was before the machine was given it, without its number. */
  readonly command: Uint8Array;
  readonly result: Result;
}

/** A machine as a replica runs it, with somebody who is told of each command that it has applied. */
export class ObservedMachine<Command, Result, Snapshot>
  implements StateMachine<Numbered<Command>, Result, Snapshot>
{
  private readonly machine: StateMachine<Command, Result, Snapshot>;
  private readonly codec: Codec<Command>;
  private readonly applied: (it: AppliedCommand<Result>) => void;

  constructor(
    machine: StateMachine<Command, Result, Snapshot>,
    codec: Codec<Command>,
    applied: (it: AppliedCommand<Result>) => void,
  ) {
    this.machine = machine;
    this.codec = codec;
    this.applied = applied;
  }

  apply({ number, command }: Numbered<Command>, context: ApplyContext): Result {
    const { position, index, time, timer } = context;
    const bytes = this.codec.encode(command);
    const result = this.machine.apply(command, context);
    this.applied({ number, position, index, time, timer, command: bytes, result });
    return result;
  }

  snapshot(): Snapshot {
    return this.machine.snapshot();
  }

  restore(snapshot: Snapshot): Promise<void> | void {
    return this.machine.restore(snapshot);
  }
}
