import { firstWhere } from './first-where.ts';

/** A block that would have more entries is cut in two. */
const BLOCK_MAX = 512;

/** Entries in the order of their keys. */
interface Block<V> {
  readonly keys: string[];
  readonly values: V[];
}

/**
 * A map in the order of its keys, by their UTF-16 code units. Sorted blocks in a sorted list, as the lowest two levels of a
 * B+ tree: an entry is found in O(log n), a range is read in O(log n + its size), and counted in O(log n + its blocks).
 */
export class SortedMap<V> {
  /** None is empty. */
  private readonly blocks: Block<V>[] = [];
  private entries = 0;

  get size(): number {
    return this.entries;
  }

  clear(): void {
    this.blocks.length = 0;
    this.entries = 0;
  }

  set(key: string, value: V): void {
    const { blocks } = this;
    // The last block that begins at or before the key; the first where none does.
    const index = Math.max(0, this.blockAfter(key) - 1);
    const block = blocks[index];
    if (block === undefined) {
      blocks.push({ keys: [key], values: [value] });
      this.entries++;
      return;
    }
    const { keys, values } = block;
    const at = firstWhere(keys, (it) => it >= key);
    if (keys[at] === key) {
      values[at] = value;
      return;
    }
    keys.splice(at, 0, key);
    values.splice(at, 0, value);
    this.entries++;
    if (keys.length <= BLOCK_MAX) return;
    // What grows at its end, as keys that count up do, leaves full blocks behind.
    const cut = at === BLOCK_MAX ? BLOCK_MAX : BLOCK_MAX / 2;
    blocks.splice(index + 1, 0, { keys: keys.splice(cut), values: values.splice(cut) });
  }

  /** Whether it was there. */
  delete(key: string): boolean {
    const index = this.blockAfter(key) - 1;
    const block = this.blocks[index];
    if (block === undefined) return false;
    const { keys, values } = block;
    const at = firstWhere(keys, (it) => it >= key);
    if (keys[at] !== key) return false;
    keys.splice(at, 1);
    values.splice(at, 1);
    this.entries--;
    if (keys.length < BLOCK_MAX / 4) this.merge(index);
    return true;
  }

  /** The values from key `from` on, up to `to`, which is not one of them. The map must not change meanwhile. */
  *range(from: string, to?: string): Generator<V> {
    const { blocks } = this;
    let index = Math.max(0, this.blockAfter(from) - 1);
    let at = firstWhere(blocks[index]?.keys ?? [], (it) => it >= from);
    for (; index < blocks.length; index++, at = 0) {
      const { keys, values } = blocks[index]!;
      for (; at < keys.length; at++) {
        if (to !== undefined && keys[at]! >= to) return;
        yield values[at]!;
      }
    }
  }

  /** How many values {@link range} has. */
  count(from: string, to?: string): number {
    if (to !== undefined && to <= from) return 0;
    const first = Math.max(0, this.blockAfter(from) - 1);
    const last = to === undefined ? this.blocks.length : Math.max(0, this.blockAfter(to) - 1);
    let before = 0;
    for (let i = first; i < last; i++) before += this.blocks[i]!.keys.length;
    const left = firstWhere(this.blocks[first]?.keys ?? [], (it) => it >= from);
    const end = to === undefined ? undefined : this.blocks[last];
    return before - left + firstWhere(end?.keys ?? [], (it) => it >= to!);
  }

  private blockAfter(key: string): number {
    return firstWhere(this.blocks, ({ keys }) => keys[0]! > key);
  }

  /** A block that has become small goes into its neighbour, where that leaves room for more. */
  private merge(index: number): void {
    const { blocks } = this;
    const block = blocks[index]!;
    const next = blocks[index + 1];
    if (block.keys.length === 0) blocks.splice(index, 1);
    else if (next !== undefined && block.keys.length + next.keys.length <= BLOCK_MAX / 2) {
      block.keys.push(...next.keys);
      block.values.push(...next.values);
      blocks.splice(index + 1, 1);
    }
  }
}
