import { type Clock, type Codec, sleep } from '../../base/index.ts';
import { type ApplyContext, Pieces, type StateMachine } from '../../smr/index.ts';
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

interface ObservedParts<Command, Result, Snapshot> {
  readonly machine: StateMachine<Command, Result, Snapshot>;
  readonly codec: Codec<Command>;
  readonly clock: Clock;
  /** How long the replica waits for each piece of a state that it restores, in milliseconds. */
  readonly pieceMs: number;
  /** Is told of each command that the machine has applied. */
  readonly applied: (it: AppliedCommand<Result>) => void;
}

/** A machine as a replica runs it, with somebody who is told of each command that it has applied. */
export class ObservedMachine<Command, Result, Snapshot>
  implements StateMachine<Numbered<Command>, Result, Snapshot>
{
  /** There is one where the machine has one. Nobody is told of what it applies: that did not happen. */
  readonly fork?: () => ObservedMachine<Command, Result, Snapshot>;
  private readonly parts: ObservedParts<Command, Result, Snapshot>;

  constructor(parts: ObservedParts<Command, Result, Snapshot>) {
    const { machine } = parts;
    this.parts = parts;
    if (machine.fork === undefined) return;
    this.fork = () => {
      const copy = machine.fork!();
      // Replicas look for this mistake.
      if (copy === machine) return this;
      return new ObservedMachine({ ...parts, machine: copy, applied: () => {} });
    };
  }

  apply({ number, command }: Numbered<Command>, context: ApplyContext): Result {
    const { machine, codec, applied } = this.parts;
    const { position, index, time, timer } = context;
    const bytes = codec.encode(command);
    const result = machine.apply(command, context);
    applied({ number, position, index, time, timer, command: bytes, result });
    return result;
  }

  snapshot(): Snapshot {
    return this.parts.machine.snapshot();
  }

  restore(snapshot: Snapshot): Promise<void> | void {
    const { machine, clock, pieceMs } = this.parts;
    if (!Pieces.is(snapshot)) return machine.restore(snapshot);
    // A small state is there in one turn. Much can happen to a replica while it reads a large one.
    async function* slowly(pieces: AsyncIterable<unknown>): AsyncGenerator<unknown> {
      for await (const piece of pieces) {
        await sleep(clock, pieceMs);
        yield piece;
      }
    }
    return machine.restore(new Pieces(slowly(snapshot)) as Snapshot);
  }
}
