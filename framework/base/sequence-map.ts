const CHUNK_KEYS = 256;
const NOTHING = Symbol('nothing');

/** The values of so many keys side by side. */
interface Chunk<T> {
  readonly number: number;
  /** As many as the largest key needs: most maps hold little. */
  readonly slots: (T | typeof NOTHING)[];
  used: number;
  /** Nothing is in the slots before. */
  from: number;
}

/**
 * Values by ascending whole numbers, most of which stay for a short time only: what is under way. In the order of
 * the keys; what is removed while it is iterated over is passed over, what is added may be.
 *
 * A `Map` does the same, but not for long: V8 links each table that a map outgrew with the one that followed, so
 * that once one of them is in the old generation, everything that was ever in the map stays until the whole heap is
 * collected.
 */
export class SequenceMap<T> {
  /** In ascending order. Only the last one may be empty: the next key is likely to belong there. */
  private chunks: Chunk<T>[] = [];
  private count = 0;
  private last = 0;

  get size(): number {
    return this.count;
  }

  /** The smallest key. */
  get firstKey(): number | undefined {
    const [chunk] = this.chunks;
    if (chunk === undefined || chunk.used === 0) return undefined;
    while (chunk.slots[chunk.from] === NOTHING) chunk.from++;
    return chunk.number * CHUNK_KEYS + chunk.from;
  }

  /** Puts a value under the key after all that were ever used: 1 at first. Returns the key. */
  add(value: T): number {
    this.set(this.last + 1, value);
    return this.last;
  }

  set(key: number, value: T): void {
    const number = Math.floor(key / CHUNK_KEYS);
    const slot = key % CHUNK_KEYS;
    const at = this.position(number);
    let chunk = this.chunks[at];
    if (chunk?.number !== number) {
      chunk = { number, slots: [], used: 0, from: slot };
      const emptyBefore = this.chunks[at - 1]?.used === 0;
      this.chunks.splice(emptyBefore ? at - 1 : at, emptyBefore ? 1 : 0, chunk);
    }
    while (chunk.slots.length <= slot) chunk.slots.push(NOTHING);
    if (chunk.slots[slot] === NOTHING) {
      chunk.used++;
      this.count++;
    }
    chunk.slots[slot] = value;
    if (slot < chunk.from) chunk.from = slot;
    if (key > this.last) this.last = key;
  }

  has(key: number): boolean {
    return this.lookUp(key) !== NOTHING;
  }

  get(key: number): T | undefined {
    const found = this.lookUp(key);
    return found === NOTHING ? undefined : found;
  }

  /** Whether there was something. */
  delete(key: number): boolean {
    const number = Math.floor(key / CHUNK_KEYS);
    const at = this.position(number);
    const chunk = this.chunks[at];
    const slot = key % CHUNK_KEYS;
    if (chunk === undefined || slotOf(chunk, number, slot) === NOTHING) return false;
    chunk.slots[slot] = NOTHING;
    if (slot === chunk.from) chunk.from++;
    this.count--;
    if (--chunk.used === 0 && at < this.chunks.length - 1) this.chunks.splice(at, 1);
    return true;
  }

  /** Removes everything below `key`. */
  deleteBelow(key: number): void {
    const number = Math.floor(key / CHUNK_KEYS);
    while (this.chunks.length > 0 && this.chunks[0]!.number < number) {
      const { slots, used } = this.chunks.shift()!;
      slots.fill(NOTHING);
      this.count -= used;
    }
    for (let first = this.firstKey; first !== undefined && first < key; first = this.firstKey) {
      this.delete(first);
    }
  }

  clear(): void {
    this.deleteBelow(Infinity);
  }

  [Symbol.iterator](): IterableIterator<[key: number, value: T]> {
    return this.from(0);
  }

  /** Those from `key` on. */
  *from(key: number): IterableIterator<[key: number, value: T]> {
    const first = Math.floor(key / CHUNK_KEYS);
    for (const { number, slots, from } of this.chunks.slice(this.position(first))) {
      const begin = number === first ? key % CHUNK_KEYS : 0;
      for (let slot = Math.max(begin, from); slot < slots.length; slot++) {
        const value = slots[slot]!;
        if (value !== NOTHING) yield [number * CHUNK_KEYS + slot, value];
      }
    }
  }

  *values(): IterableIterator<T> {
    for (const [, value] of this) yield value;
  }

  private lookUp(key: number): T | typeof NOTHING {
    const number = Math.floor(key / CHUNK_KEYS);
    const chunk = this.chunks[this.position(number)];
    return chunk === undefined ? NOTHING : slotOf(chunk, number, key % CHUNK_KEYS);
  }

  /** Where the chunk `number` is, or belongs: mostly the last one or the first. */
  private position(number: number): number {
    let low = 0;
    let high = this.chunks.length;
    if (high > 0 && number >= this.chunks[high - 1]!.number) {
      return number === this.chunks[high - 1]!.number ? high - 1 : high;
    }
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.chunks[middle]!.number < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function slotOf<T>(chunk: Chunk<T>, number: number, slot: number): T | typeof NOTHING {
  // Never beyond the slots: that takes longer than all the rest.
  return chunk.number === number && slot < chunk.slots.length ? chunk.slots[slot]! : NOTHING;
}
