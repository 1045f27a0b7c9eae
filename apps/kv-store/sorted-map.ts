import { firstWhere } from './first-where.ts';

/** A block that would have more entries is cut in two. */
const BLOCK_MAX = 512;

/** Entries in the order of their keys. */
interface Block<V> {
  /** Whose it is to change: the map's token when it was made, which no fork of it has. */
  readonly owner: object;
  readonly keys: string[];
  readonly values: V[];
}

/**
 * A map in the order of its keys, by their UTF-16 code units. Sorted blocks in a sorted list, as the lowest two levels of a
 * B+ tree: an entry is found in O(log n), a range is read in O(log n + its size), and counted in O(log n + its blocks).
 *
 * {@link SortedMap.fork} costs nothing. Writes after it copy the list once, and each block that they touch.
 */
export class SortedMap<V> {
  private owner = {};
  /** None is empty. */
  private blocks: Block<V>[] = [];
  private isListShared = false;
  private entries = 0;

  get size(): number {
    return this.entries;
  }

  /** Another map with the same content: from then on both may be changed, and neither sees what the other does. */
  fork(): SortedMap<V> {
    const fork = new SortedMap<V>();
    fork.blocks = this.blocks;
    fork.entries = this.entries;
    fork.isListShared = true;
    this.isListShared = true;
    this.owner = {};
    return fork;
  }

  get(key: string): V | undefined {
    const block = this.blocks[this.blockAfter(key) - 1];
    if (block === undefined) return undefined;
    const at = firstWhere(block.keys, (it) => it >= key);
    return block.keys[at] === key ? block.values[at] : undefined;
  }

  set(key: string, value: V): void {
    const { owner } = this;
    const blocks = this.ownList();
    // The last block that begins at or before the key; the first where none does.
    const index = Math.max(0, this.blockAfter(key) - 1);
    if (index === blocks.length) {
      blocks.push({ owner, keys: [key], values: [value] });
      this.entries++;
      return;
    }
    const { keys, values } = this.own(index);
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
    blocks.splice(index + 1, 0, { owner, keys: keys.splice(cut), values: values.splice(cut) });
  }

  /** Whether it was there. */
  delete(key: string): boolean {
    const index = this.blockAfter(key) - 1;
    const block = this.blocks[index];
    if (block === undefined) return false;
    const at = firstWhere(block.keys, (it) => it >= key);
    if (block.keys[at] !== key) return false;
    this.ownList();
    const { keys, values } = this.own(index);
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

  private ownList(): Block<V>[] {
    if (this.isListShared) this.blocks = this.blocks.slice();
    this.isListShared = false;
    return this.blocks;
  }

  /** The list is the map's own. */
  private own(index: number): Block<V> {
    const { owner, blocks } = this;
    const block = blocks[index]!;
    if (block.owner === owner) return block;
    const own = { owner, keys: block.keys.slice(), values: block.values.slice() };
    blocks[index] = own;
    return own;
  }

  private blockAfter(key: string): number {
    return firstWhere(this.blocks, ({ keys }) => keys[0]! > key);
  }

  /** A block of its own that has become small goes into its neighbour, where that leaves room for more. */
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
