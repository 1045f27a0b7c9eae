import { VarlogError } from '../base/index.ts';

/** Keys of a leaf, and children of a branch, at the most. */
const WIDTH = 64;

/** Keys of one map are all of one kind. */
export type VersionedKey = string | number;

/** `owner`: the map's token when the node was made, which no fork of it has. A map changes its own nodes in place, and copies all others. */
interface Leaf<K, V> {
  readonly owner: object;
  readonly keys: K[];
  readonly values: V[];
  readonly children?: undefined;
}

/** `keys[i]` is above all keys below `children[i]`, and not above any below `children[i + 1]`. */
interface Branch<K, V> {
  readonly owner: object;
  readonly keys: K[];
  readonly children: Node<K, V>[];
}

type Node<K, V> = Leaf<K, V> | Branch<K, V>;

/** What a node that became too large gives to a new one on its right. */
interface Split<K, V> {
  readonly least: K;
  readonly node: Node<K, V>;
}

/** Where a range begins and ends: from `from` on, up to `to` without it. */
export interface KeyRange<K> {
  readonly from?: K;
  readonly to?: K;
}

/**
 * A map whose {@link VersionedMap.snapshot} costs nothing, however large it is: a view that stays as it is while the map
 * goes on. Writes after it copy what they touch, some hundred entries at most. Entries come in the order of their keys
 * (numbers by size, texts by their UTF-16 code units), so that maps with the same content are read alike on all replicas.
 *
 * {@link VersionedMap.fork} makes a map of its own out of it, which costs nothing either. Values are shared with views and
 * forks: replace them, do not change them.
 *
 * ```ts
 * const map = new VersionedMap<string, number>([['a', 1]]);
 * const view = map.snapshot();
 * map.set('a', 2);
 * view.get('a'); // 1
 * ```
 *
 * A persistent B+ tree (Driscoll et al., "Making data structures persistent", 1989: path copying). Nodes are given up
 * when they are empty, not merged when they are half full (Johnson and Shasha, "B-trees with inserts and deletes: why
 * free-at-empty is better than merge-at-half", 1993).
 */
export class VersionedMap<K extends VersionedKey, V> implements Iterable<[K, V]> {
  private owner = {};
  private root: Node<K, V> = { owner: this.owner, keys: [], values: [] };
  private count = 0;
  private kind: string | undefined;

  constructor(entries: Iterable<readonly [K, V]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }

  get size(): number {
    return this.count;
  }

  get(key: K): V | undefined {
    return find(this.root, key);
  }

  has(key: K): boolean {
    return isIn(this.root, key);
  }

  /** Throws `INVALID_ARGUMENT` for a key that has no place in the order: `NaN`, or of another kind than the others. */
  set(key: K, value: V): this {
    this.check(key);
    this.root = this.own(this.root);
    const split = this.put(this.root, key, value);
    if (split === undefined) return this;
    const children = [this.root, split.node];
    this.root = { owner: this.owner, keys: [split.least], children };
    return this;
  }

  /** Whether there was such a key. */
  delete(key: K): boolean {
    if (!this.has(key)) return false;
    this.root = this.own(this.root);
    this.remove(this.root, key);
    this.count--;
    while (this.root.children?.length === 1) this.root = this.root.children[0] as Node<K, V>;
    if (this.count === 0) this.clear();
    return true;
  }

  clear(): void {
    this.root = { owner: this.owner, keys: [], values: [] };
    this.count = 0;
    this.kind = undefined;
  }

  /** The map as it is now, for as long as it is wanted. */
  snapshot(): MapView<K, V> {
    this.owner = {};
    return new MapView(this.root, this.count);
  }

  /** Another map with the same content, at no cost: from then on both may be changed, and neither sees what the other does. */
  fork(): VersionedMap<K, V> {
    const fork = new VersionedMap<K, V>();
    fork.root = this.root;
    fork.count = this.count;
    fork.kind = this.kind;
    this.owner = {};
    return fork;
  }

  /** The entries as they are now: the map may be changed meanwhile. */
  [Symbol.iterator](): Iterator<[K, V]> {
    return this.snapshot()[Symbol.iterator]();
  }

  /** The entries of a range as they are now: the map may be changed meanwhile. */
  range(range: KeyRange<K>): Iterable<[K, V]> {
    return this.snapshot().range(range);
  }

  private check(key: K): void {
    const kind = typeof key;
    const isKey = kind === 'string' || (kind === 'number' && !Number.isNaN(key));
    if (isKey && kind === (this.kind ?? kind)) {
      this.kind = kind;
      return;
    }
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `${String(key)} cannot be a key of this map`,
      because: 'its keys are kept in their order',
      next: 'give texts alone, or numbers alone',
    });
  }

  private own(node: Node<K, V>): Node<K, V> {
    const { owner } = this;
    if (node.owner === owner) return node;
    if (node.children === undefined)
      return { owner, keys: node.keys.slice(), values: node.values.slice() };
    return { owner, keys: node.keys.slice(), children: node.children.slice() };
  }

  private ownChild(branch: Branch<K, V>, index: number): Node<K, V> {
    const child = this.own(branch.children[index] as Node<K, V>);
    branch.children[index] = child;
    return child;
  }

  /** `node` is the map's own. */
  private put(node: Node<K, V>, key: K, value: V): Split<K, V> | undefined {
    if (node.children === undefined) return this.putInLeaf(node, key, value);
    const { keys, children } = node;
    const index = countUpTo(keys, key);
    const split = this.put(this.ownChild(node, index), key, value);
    if (split === undefined) return undefined;
    keys.splice(index, 0, split.least);
    children.splice(index + 1, 0, split.node);
    if (children.length <= WIDTH) return undefined;
    const half = keys.length >> 1;
    const right = keys.splice(half);
    const least = right.shift() as K;
    return {
      least,
      node: { owner: this.owner, keys: right, children: children.splice(half + 1) },
    };
  }

  private putInLeaf({ keys, values }: Leaf<K, V>, key: K, value: V): Split<K, V> | undefined {
    const index = countBelow(keys, key);
    if (keys[index] === key) {
      values[index] = value;
      return undefined;
    }
    keys.splice(index, 0, key);
    values.splice(index, 0, value);
    this.count++;
    if (keys.length <= WIDTH) return undefined;
    // Keys that come in their order leave full leaves behind.
    const at = index === WIDTH ? WIDTH : WIDTH / 2;
    const node = { owner: this.owner, keys: keys.splice(at), values: values.splice(at) };
    return { least: node.keys[0] as K, node };
  }

  /** `node` is the map's own, and `key` lies below it. */
  private remove(node: Node<K, V>, key: K): void {
    if (node.children === undefined) {
      const index = countBelow(node.keys, key);
      node.keys.splice(index, 1);
      node.values.splice(index, 1);
      return;
    }
    const index = countUpTo(node.keys, key);
    const child = this.ownChild(node, index);
    this.remove(child, key);
    if ((child.children ?? child.keys).length > 0) return;
    node.children.splice(index, 1);
    node.keys.splice(Math.max(0, index - 1), 1);
  }
}

/** A {@link VersionedMap} as it was at one moment. */
export class MapView<K extends VersionedKey, V> implements Iterable<[K, V]> {
  readonly size: number;
  private readonly root: Node<K, V>;

  /** @internal */
  constructor(root: Node<K, V>, size: number) {
    this.root = root;
    this.size = size;
  }

  get(key: K): V | undefined {
    return find(this.root, key);
  }

  has(key: K): boolean {
    return isIn(this.root, key);
  }

  [Symbol.iterator](): Iterator<[K, V]> {
    return entriesOf(this.root, {});
  }

  /** The entries from a key on, up to another one without it. */
  range(range: KeyRange<K>): Iterable<[K, V]> {
    return { [Symbol.iterator]: () => entriesOf(this.root, range) };
  }
}

function leafOf<K, V>(root: Node<K, V>, key: K): Leaf<K, V> {
  let node = root;
  while (node.children !== undefined) node = node.children[countUpTo(node.keys, key)] as Node<K, V>;
  return node;
}

function find<K, V>(root: Node<K, V>, key: K): V | undefined {
  const { keys, values } = leafOf(root, key);
  const index = countBelow(keys, key);
  return keys[index] === key ? values[index] : undefined;
}

function isIn<K, V>(root: Node<K, V>, key: K): boolean {
  const { keys } = leafOf(root, key);
  return keys[countBelow(keys, key)] === key;
}

function* entriesOf<K extends VersionedKey, V>(
  root: Node<K, V>,
  { from, to }: KeyRange<K>,
): Generator<[K, V]> {
  for (const { keys, values } of leavesFrom(root, from)) {
    for (let i = from === undefined ? 0 : countBelow(keys, from); i < keys.length; i++) {
      const key = keys[i] as K;
      if (to !== undefined && !(key < to)) return;
      yield [key, values[i] as V];
    }
  }
}

function* leavesFrom<K, V>(node: Node<K, V>, from: K | undefined): Generator<Leaf<K, V>> {
  if (node.children === undefined) {
    yield node;
    return;
  }
  const { keys, children } = node;
  for (let i = from === undefined ? 0 : countUpTo(keys, from); i < children.length; i++)
    yield* leavesFrom(children[i] as Node<K, V>, from);
}

/** How many of the keys, which are in order, are below `key`. */
function countBelow<K>(keys: readonly K[], key: K): number {
  let low = 0;
  for (let high = keys.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as K) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many of the keys, which are in order, are not above `key`. */
function countUpTo<K>(keys: readonly K[], key: K): number {
  let low = 0;
  for (let high = keys.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as K) <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
