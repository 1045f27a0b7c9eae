import { inPieces, type Pieces, type StateMachine, VersionedMap } from './index.ts';

export type WordPiece = { readonly total: number } | readonly [word: string, count: number];

/** Counts words. Its state is handed over in pieces: the number of all, and each word with its count. */
export class WordCounts implements StateMachine<string, number, Pieces<WordPiece>> {
  words = new VersionedMap<string, number>();
  total = 0;

  /** The word again, with how many there are: `-word` takes it out. */
  apply(command: string): number {
    this.total++;
    if (command.startsWith('-')) return Number(this.words.delete(command.slice(1)));
    const count = (this.words.get(command) ?? 0) + 1;
    this.words.set(command, count);
    return count;
  }

  snapshot(): Pieces<WordPiece> {
    return inPieces(this.pieces());
  }

  async restore(pieces: Pieces<WordPiece>): Promise<void> {
    const words = new VersionedMap<string, number>();
    let total = 0;
    for await (const piece of pieces) {
      if ('total' in piece) total = piece.total;
      else words.set(...piece);
    }
    this.words = words;
    this.total = total;
  }

  /** All of it, to be compared. */
  get state(): unknown {
    return [this.total, ...this.words];
  }

  protected *pieces(): Generator<WordPiece> {
    const view = this.words.snapshot();
    yield { total: this.total };
    yield* view;
  }
}

/** A defect: gives the words as they are when they are read, not as they were. */
export class LiveWordCounts extends WordCounts {
  protected override *pieces(): Generator<WordPiece> {
    yield { total: this.total };
    let last = '';
    for (;;) {
      const [next] = this.words.range({ from: `${last}\0` });
      if (next === undefined) return;
      last = next[0];
      yield next;
    }
  }
}
