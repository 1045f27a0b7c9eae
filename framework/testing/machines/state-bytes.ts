import type { Codec } from '../../base/index.ts';
import { type PieceOf, Pieces } from '../../smr/index.ts';

/** A state as it is looked at: one that is handed over in pieces is the list of them. */
export type LookedAt<Snapshot> = Snapshot extends Pieces<infer Piece> ? readonly Piece[] : Snapshot;

/** The first byte: what follows is the state, or its pieces, each behind its length. */
const WHOLE = 0;
const IN_PIECES = 1;
const LENGTH_BYTES = 4;

/** States of a machine as bytes, whether it hands them over whole or in pieces: to be compared, shown and restored from. */
export class StateBytes<Snapshot> {
  private readonly codec: Codec<PieceOf<Snapshot>>;

  /** `codec`: of states; where a machine hands them over in pieces, of pieces. */
  constructor(codec: Codec<PieceOf<Snapshot>>) {
    this.codec = codec;
  }

  encode(state: Snapshot): Uint8Array {
    return this.begin(state)();
  }

  /**
   * Does what a replica does with a state before it goes on; the function does the rest, which a replica does later where
   * there are pieces.
   */
  begin(state: Snapshot): () => Uint8Array {
    if (Pieces.is(state)) {
      const pieces = state.begin() as Iterable<PieceOf<Snapshot>>;
      return () => joined([...pieces].map((it) => this.codec.encode(it)));
    }
    const own = this.codec.encode(state as PieceOf<Snapshot>);
    const bytes = Buffer.concat([Uint8Array.of(WHOLE), own]);
    return () => bytes;
  }

  decode(bytes: Uint8Array): LookedAt<Snapshot> {
    const state = isInPieces(bytes) ? [...this.pieces(bytes)] : this.whole(bytes);
    return state as LookedAt<Snapshot>;
  }

  whole(bytes: Uint8Array): PieceOf<Snapshot> {
    return this.codec.decode(bytes.subarray(1));
  }

  *pieces(bytes: Uint8Array): Generator<PieceOf<Snapshot>> {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 1; at < bytes.length; ) {
      const from = at + LENGTH_BYTES;
      const to = from + view.getUint32(at);
      yield this.codec.decode(bytes.subarray(from, to));
      at = to;
    }
  }
}

/** Whether it is a state that was handed over in pieces. */
export function isInPieces(bytes: Uint8Array): boolean {
  return bytes[0] === IN_PIECES;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(IN_PIECES)];
  for (const piece of pieces) {
    const length = new Uint8Array(LENGTH_BYTES);
    new DataView(length.buffer).setUint32(0, piece.length);
    parts.push(length, piece);
  }
  return Buffer.concat(parts);
}
