const MARK = Symbol.for('varlog.pieces');

/**
 * A state in pieces: what a machine's `snapshot()` gives by {@link inPieces}, and its `restore` gets of such a snapshot.
 * To be read once.
 */
export class Pieces<Piece> implements AsyncIterable<Piece> {
  readonly [MARK] = true;
  private readonly source: Iterable<Piece> | AsyncIterable<Piece>;

  /** @internal */
  constructor(source: Iterable<Piece> | AsyncIterable<Piece>) {
    this.source = source;
  }

  /** Two copies of this package may be loaded. */
  static is(value: unknown): value is Pieces<unknown> {
    return typeof value === 'object' && value !== null && MARK in value;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Piece> {
    yield* this.source;
  }

  /** For pieces of a machine: begins to read them at once, so that what lies before the first one is done now. */
  begin(): Iterable<Piece> {
    const iterator = (this.source as Iterable<Piece>)[Symbol.iterator]();
    return resume(iterator, iterator.next());
  }
}

function* resume<Piece>(iterator: Iterator<Piece>, first: IteratorResult<Piece>): Generator<Piece> {
  try {
    for (let it = first; it.done !== true; it = iterator.next()) yield it.value;
  } finally {
    iterator.return?.();
  }
}

/** The pieces of a state `S`; where it is handed over whole, the state itself. */
export type PieceOf<S> = S extends Pieces<infer Piece> ? Piece : S;

/**
 * Hands a state over piece by piece, instead of whole. The pieces are those of the state at the moment of the call,
 * although they are read while commands go on: give those of something that does not change, such as a view of a
 * {@link VersionedMap}. Of a generator, what comes before its first `yield` is done at once: take views and copy numbers
 * there.
 *
 * ```ts
 * snapshot() {
 *   return inPieces(this.items.snapshot());
 * }
 *
 * async restore(pieces: Pieces<[string, number]>) {
 *   const items = new VersionedMap<string, number>();
 *   for await (const [key, value] of pieces) items.set(key, value);
 *   this.items = items;
 * }
 * ```
 */
export function inPieces<Piece>(pieces: Iterable<Piece>): Pieces<Piece> {
  return new Pieces(pieces);
}
