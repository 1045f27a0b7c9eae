import { type Codec, type TurnBudget, VarlogError } from '../base/index.ts';
import { underRules } from './codecs.ts';
import { Pieces } from './pieces.ts';
import type { Rules } from './rules.ts';
import type { CapturedState } from './snapshot-format.ts';
import type { StateMachine } from './state-machine.ts';

const BYTES_PER_COST = 1_024;

/** The machine's state, encoded to its end. */
export interface EncodedState extends Pick<CapturedState, 'isInPieces'> {
  readonly pieces: readonly Uint8Array[];
}

/** The state of a machine as bytes, and back: whole, or in pieces. */
export class MachineState {
  private readonly machine: StateMachine<never, unknown>;
  /** Of states, or of pieces of states. */
  private readonly codec: Codec<unknown>;
  private readonly rules: Pick<Rules, 'inForce'>;
  private readonly turns: TurnBudget;

  constructor(
    machine: StateMachine<never, unknown>,
    codec: Codec<unknown>,
    rules: Pick<Rules, 'inForce'>,
    turns: TurnBudget,
  ) {
    this.machine = machine;
    this.codec = codec;
    this.rules = rules;
    this.turns = turns;
  }

  /** The state as it is now. One that is handed over in pieces is encoded as they are read. */
  capture(): Pick<CapturedState, 'pieces' | 'isInPieces'> {
    const state = this.machine.snapshot();
    // Those of now, also for pieces that are read when they were raised.
    const codec = underRules(this.codec, { inForce: this.rules.inForce });
    if (Pieces.is(state)) return { isInPieces: true, pieces: encoded(state.begin(), codec) };
    return { isInPieces: false, pieces: [codec.encode(state)] };
  }

  /** The state as it is now; `undefined` where that cannot be encoded. */
  tryEncode(): EncodedState | undefined {
    try {
      const { isInPieces, pieces } = this.capture();
      return { isInPieces, pieces: [...pieces] };
    } catch {
      return undefined;
    }
  }

  /** Resolves when the machine has it: with pieces after some turns, until when it has the state of before. */
  async restore(isInPieces: boolean, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    if (!isInPieces) return this.restoreWhole(pieces);
    if (!Pieces.is(this.machine.snapshot())) throw takesNoPieces();
    let isRead = false;
    const { codec, turns } = this;
    async function* decoded(): AsyncGenerator<unknown> {
      for await (const piece of pieces) {
        const turn = turns.take(1 + piece.length / BYTES_PER_COST);
        if (turn !== undefined) await turn;
        yield codec.decode(piece);
      }
      isRead = true;
    }
    await this.machine.restore(new Pieces(decoded()));
    if (!isRead) throw notAllRead();
  }

  private async restoreWhole(pieces: AsyncIterable<Uint8Array>): Promise<void> {
    let state: Uint8Array = new Uint8Array();
    for await (const piece of pieces) state = piece;
    await this.machine.restore(this.codec.decode(state));
  }
}

function* encoded(pieces: Iterable<unknown>, codec: Codec<unknown>): Generator<Uint8Array> {
  for (const piece of pieces) yield codec.encode(piece);
}

function takesNoPieces(): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: 'the snapshot is in pieces, and the machine hands over its state whole',
    because: 'another version of the machine made it',
    next: 'start the version of the machine that made it, or a later one',
  });
}

function notAllRead(): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: 'the machine did not restore all pieces of its snapshot',
    because: 'its `restore` was done before it had read them to their end',
    next: 'correct `restore`: it reads all pieces, and resolves then',
  });
}
