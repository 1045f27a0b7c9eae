/** The largest id that its field on the wire can hold. */
const ID_MAX = 2 ** 31 - 1;

export interface IdPoolSnapshot {
  readonly next: number;
  readonly above: readonly number[];
}

/**
 * The ids of one kind of thing, of which none is ever given twice. One that a caller chooses uses up
 * itself alone, not those below it.
 */
export class IdPool {
  /** All below this were given. */
  private next = 1;
  /** Those above it that were. */
  private above = new Set<number>();

  /** The smallest id that was never given; `undefined`: there is none left. */
  get free(): number | undefined {
    return this.next <= ID_MAX ? this.next : undefined;
  }

  wasGiven(id: number): boolean {
    return id < this.next || this.above.has(id);
  }

  give(id: number): void {
    this.above.add(id);
    while (this.above.delete(this.next)) this.next++;
  }

  snapshot(): IdPoolSnapshot {
    return { next: this.next, above: [...this.above].sort((a, b) => a - b) };
  }

  restore({ next, above }: IdPoolSnapshot): void {
    this.next = next;
    this.above = new Set(above);
  }
}

/** Whether `id` can stand for something: 1…{@link ID_MAX}. */
export function isId(id: number): boolean {
  return Number.isInteger(id) && id >= 1 && id <= ID_MAX;
}
