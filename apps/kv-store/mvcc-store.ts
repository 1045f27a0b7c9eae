import { ChangeHistory, type HistoryLimits } from './change-history.ts';
import type { Key, KeyRange } from './key.ts';
import { alive, KeyHistory } from './key-history.ts';
import { SortedMap } from './sorted-map.ts';
import type { LiveVersion, Version } from './version.ts';

/** An {@link MvccStore}, all of it or a piece. */
export interface MvccState {
  readonly revision: number;
  readonly compacted: number;
  /** Changes up to this revision are not known. */
  readonly forgotten: number;
  /** The keys as they were at that revision, as far as they are still to be read, in their order. */
  readonly base: readonly Version[];
  /** Every change since, in order. */
  readonly changes: readonly Version[];
}

const FIRST_REVISION = 1;
/** Of the keys, in a piece of the state. */
const PIECE_VERSIONS = 500;

/**
 * Keys and values with their past (multi-version concurrency control): each transaction that changes something makes a new
 * revision of the whole, and old revisions can be read until they are compacted. Revisions are those of etcd: dense, from 1,
 * which is empty.
 *
 * Of what was compacted there remains what each key was at that revision. The past has a bound: over it the store compacts
 * by itself, at the same command on every replica.
 */
export class MvccStore {
  /** Histories of the keys that are there at present, and of those that are not. */
  private live = new SortedMap<KeyHistory>();
  private dead = new SortedMap<KeyHistory>();
  /** The same, to be found faster. A fork has those only that it has changed. */
  private found = new Map<Key, KeyHistory>();
  private isFork = false;
  /** Of the histories that this store may change; all others it copies before. */
  private owner = {};
  private readonly limits: Partial<HistoryLimits>;
  private changes: ChangeHistory;
  private newest = FIRST_REVISION;
  private floor = 0;

  constructor(limits: Partial<HistoryLimits> = {}) {
    this.limits = limits;
    this.changes = new ChangeHistory(limits);
  }

  /** Revision of the last change. */
  get revision(): number {
    return this.newest;
  }

  /** What was before this revision cannot be read any more. */
  get compacted(): number {
    return this.floor;
  }

  /** How many keys there are at present. */
  get size(): number {
    return this.live.size;
  }

  /** How many keys there are of which something can be read, at present or in the past. */
  get remembered(): number {
    return this.live.size + this.dead.size;
  }

  /** The newest changes. */
  get history(): Pick<ChangeHistory, 'from' | 'forgotten' | 'bytes' | 'length'> {
    return this.changes;
  }

  get(key: Key): LiveVersion | undefined {
    return alive(this.historyOf(key)?.newest);
  }

  /** The key before the change that made `revision`; `undefined` as well where that was compacted. */
  before(key: Key, revision: number): LiveVersion | undefined {
    return this.historyOf(key)?.at(revision - 1);
  }

  /** The keys of a range in their order, at a revision that is not compacted. Nothing must be written meanwhile. */
  *range({ from, to }: KeyRange, revision = this.newest): Generator<LiveVersion> {
    if (revision >= this.newest) {
      for (const history of this.live.range(from, to)) yield history.newest as LiveVersion;
      return;
    }
    for (const history of merged(this.live.range(from, to), this.dead.range(from, to))) {
      const found = history.at(revision);
      if (found !== undefined) yield found;
    }
  }

  /** How many keys {@link range} has. */
  count(range: KeyRange, revision = this.newest): number {
    if (revision >= this.newest) return this.live.count(range.from, range.to);
    let count = 0;
    for (const _ of this.range(range, revision)) count++;
    return count;
  }

  /** `revision`: of the transaction, the last one's if this is a part of it. Gives what was there before. */
  put(key: Key, value: Uint8Array, lease: number, revision: number): LiveVersion | undefined {
    const history = this.historyOf(key);
    const newest = history?.newest;
    const before = alive(newest);
    const createRevision = before?.createRevision ?? revision;
    const version = (before?.version ?? 0) + 1;
    // All versions of a key share its text, which is then found sooner too.
    this.add({ key: newest?.key ?? key, value, revision, createRevision, version, lease }, history);
    return before;
  }

  /** A put in the place of everything that is known of the key. */
  replace(key: Key, value: Uint8Array, revision: number): void {
    this.add({ key, value, revision, createRevision: revision, version: 1, lease: 0 });
  }

  /** Gives what was there before; nothing changes where that is nothing. */
  delete(key: Key, revision: number): LiveVersion | undefined {
    const before = this.get(key);
    if (before === undefined) return undefined;
    this.add({ key, value: undefined, revision, createRevision: 0, version: 0, lease: 0 });
    return before;
  }

  /** Makes everything before `revision`, which must not be ahead, unreadable. Between transactions. */
  compact(revision: number): void {
    if (revision <= this.floor) return;
    this.prune(revision);
    this.changes.forget(revision - 1);
  }

  /** Nothing is known any more but what there is. Between transactions. */
  forgetPast(): void {
    this.prune(this.newest);
    this.changes.forget(this.newest);
  }

  /** Keeps the past within its limits. Between transactions. */
  bound(): void {
    const { excess } = this.changes;
    if (excess > this.changes.forgotten) this.compact(excess + 1);
  }

  /** Another store with the same content, at no cost: from then on both may be changed, and neither sees what the other does. */
  fork(): MvccStore {
    const fork = new MvccStore(this.limits);
    fork.live = this.live.fork();
    fork.dead = this.dead.fork();
    fork.isFork = true;
    fork.changes = this.changes.fork();
    fork.newest = this.newest;
    fork.floor = this.floor;
    this.owner = {};
    return fork;
  }

  /** All of it as it is now, in pieces, of which each is a state with some of the keys or changes: the store may go on. */
  pieces(): Iterable<MvccState> {
    return this.fork().ownPieces();
  }

  /**
   * For a new store: adds a piece of a state, in the order of the pieces. {@link restored} must follow the last. `moved` is told
   * of each key, with its leases before and after.
   */
  restore(
    { forgotten, base, changes }: MvccState,
    moved: (key: Key, from: number, to: number) => void,
  ): void {
    this.changes.forget(forgotten);
    for (const version of base) {
      moved(version.key, 0, version.lease);
      this.place(version);
    }
    for (const change of changes) {
      const known = this.historyOf(change.key);
      moved(change.key, known?.newest.lease ?? 0, change.lease);
      this.add(change, known);
    }
  }

  /** All pieces of a state were added, of which this is any. */
  restored({ revision, compacted }: MvccState): void {
    this.newest = Math.max(revision, FIRST_REVISION);
    this.prune(compacted);
  }

  private *ownPieces(): Generator<MvccState> {
    const { newest: revision, floor: compacted, changes } = this;
    const { forgotten } = changes;
    const state = { revision, compacted, forgotten, base: [], changes: [] };
    let base: Version[] = [];
    for (const history of merged(this.live.range(''), this.dead.range(''))) {
      const found = history.at(forgotten);
      if (found === undefined) continue;
      if (base.length === PIECE_VERSIONS) {
        yield { ...state, base };
        base = [];
      }
      base.push(found);
    }
    yield { ...state, base };
    for (const some of changes.pieces()) yield { ...state, changes: some };
  }

  private historyOf(key: Key): KeyHistory | undefined {
    const found = this.found.get(key);
    if (found !== undefined || !this.isFork) return found;
    return this.live.get(key) ?? this.dead.get(key);
  }

  /** `known`: the history of its key. */
  private add(change: Version, known = this.historyOf(change.key)): void {
    this.newest = change.revision;
    this.place(change, known);
    this.changes.add(change);
  }

  private place(version: Version, known?: KeyHistory): void {
    const { key } = version;
    const isLive = version.value !== undefined;
    if (known === undefined) {
      this.keep(key, new KeyHistory(this.owner, [version]), isLive);
      return;
    }
    const wasLive = known.newest.value !== undefined;
    const history = known.owner === this.owner ? known : known.copy(this.owner);
    history.add(version);
    if (isLive !== wasLive) (isLive ? this.dead : this.live).delete(key);
    else if (history === known) return;
    this.keep(key, history, isLive);
  }

  private keep(key: Key, history: KeyHistory, isLive: boolean): void {
    this.found.set(key, history);
    (isLive ? this.live : this.dead).set(key, history);
  }

  /** Of each key that has changed up to `revision`, what it was then is the oldest that stays. */
  private prune(revision: number): void {
    this.floor = revision;
    this.changes.visit(revision, ({ key }) => {
      const known = this.historyOf(key);
      if (known !== undefined) this.pruneKey(key, known, revision);
    });
  }

  private pruneKey(key: Key, known: KeyHistory, revision: number): void {
    const history = known.owner === this.owner ? known : known.copy(this.owner);
    if (history.prune(revision)) {
      if (history !== known) this.keep(key, history, history.newest.value !== undefined);
      return;
    }
    this.found.delete(key);
    this.dead.delete(key);
  }
}

/** Two sequences of histories as one, in the order of their keys. */
function* merged(a: Generator<KeyHistory>, b: Generator<KeyHistory>): Generator<KeyHistory> {
  let left = a.next();
  let right = b.next();
  while (left.done !== true || right.done !== true) {
    const takeLeft =
      right.done === true || (left.done !== true && left.value.newest.key < right.value.newest.key);
    if (takeLeft) {
      yield left.value as KeyHistory;
      left = a.next();
    } else {
      yield right.value as KeyHistory;
      right = b.next();
    }
  }
}
