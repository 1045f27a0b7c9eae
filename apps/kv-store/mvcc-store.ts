import { ChangeHistory, type HistoryLimits } from './change-history.ts';
import { firstWhere } from './first-where.ts';
import type { Key, KeyRange } from './key.ts';
import { SortedMap } from './sorted-map.ts';
import { ownValue } from './value-memory.ts';
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

/** Versions of one key, by revision: those that may still be read. */
type KeyHistory = Version[];

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
  private readonly histories = new Map<Key, KeyHistory>();
  /** Histories of the keys that are there at present, and of those that are not. */
  private readonly live = new SortedMap<KeyHistory>();
  private readonly dead = new SortedMap<KeyHistory>();
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
    return this.histories.size;
  }

  /** The newest changes. */
  get history(): Pick<ChangeHistory, 'from' | 'forgotten' | 'bytes' | 'length'> {
    return this.changes;
  }

  get(key: Key): LiveVersion | undefined {
    return newestOf(this.histories.get(key));
  }

  /** The key before the change that made `revision`; `undefined` as well where that was compacted. */
  before(key: Key, revision: number): LiveVersion | undefined {
    return versionAt(this.histories.get(key) ?? [], revision - 1);
  }

  /** The keys of a range in their order, at a revision that is not compacted. Nothing must be written meanwhile. */
  *range({ from, to }: KeyRange, revision = this.newest): Generator<LiveVersion> {
    if (revision >= this.newest) {
      for (const history of this.live.range(from, to)) yield history.at(-1) as LiveVersion;
      return;
    }
    for (const history of merged(this.live.range(from, to), this.dead.range(from, to))) {
      const found = versionAt(history, revision);
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
    const history = this.histories.get(key);
    const before = newestOf(history);
    const createRevision = before?.createRevision ?? revision;
    const version = (before?.version ?? 0) + 1;
    this.add({ key, value, revision, createRevision, version, lease }, history);
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

  /**
   * All of it as it is now, in pieces, of which each is a state with some of the keys or changes. They stay as they are,
   * also while the store goes on.
   */
  pieces(): Iterable<MvccState> {
    const { newest: revision, floor: compacted, changes } = this;
    const { forgotten } = changes;
    const base: Version[] = [];
    for (const history of merged(this.live.range(''), this.dead.range(''))) {
      const found = versionAt(history, forgotten);
      if (found !== undefined) base.push(found);
    }
    return piecesOf({ revision, compacted, forgotten, base, changes: [] }, changes.pieces());
  }

  restore({ revision, compacted, forgotten, base, changes }: MvccState): void {
    this.histories.clear();
    this.live.clear();
    this.dead.clear();
    for (const version of base) this.place(version);
    this.changes = new ChangeHistory(this.limits, forgotten);
    for (const change of changes) this.add(change);
    this.newest = Math.max(revision, FIRST_REVISION);
    this.floor = 0;
    this.prune(compacted);
  }

  /** `known`: the history of its key. */
  private add(change: Version, known = this.histories.get(change.key)): void {
    this.newest = change.revision;
    this.place(change, known);
    this.changes.add(change);
  }

  private place(version: Version, known?: KeyHistory): void {
    const { key } = version;
    const history = known ?? [];
    const wasLive = newestOf(history) !== undefined;
    const isLive = version.value !== undefined;
    history.push(version);
    if (known === undefined) this.histories.set(key, history);
    if (isLive === wasLive) return;
    (isLive ? this.dead : this.live).delete(key);
    (isLive ? this.live : this.dead).set(key, history);
  }

  /** Of each key that has changed up to `revision`, what it was then is the oldest that stays. */
  private prune(revision: number): void {
    this.floor = revision;
    this.changes.visit(revision, ({ key }) => {
      const history = this.histories.get(key);
      if (history !== undefined) this.pruneKey(key, history, revision);
    });
  }

  private pruneKey(key: Key, history: KeyHistory, revision: number): void {
    const kept = Math.max(0, firstWhere(history, (it) => it.revision > revision) - 1);
    // What was deleted by then is as if it had never been.
    const { revision: from, value } = history[kept]!;
    const gone = from <= revision && value === undefined;
    dropFirst(history, gone ? kept + 1 : kept);
    if (history.length === 0) {
      this.histories.delete(key);
      this.dead.delete(key);
    } else if (history.length === 1) history[0] = settled(history[0]!);
  }
}

/** One at a time is what most keys lose, and a splice would make an array of it. */
function dropFirst(history: KeyHistory, count: number): void {
  if (count === 1) history.shift();
  else if (count > 1) history.splice(0, count);
}

/** Nobody knows how long it stays now: longer, perhaps, than all values that share its memory. */
function settled(version: Version): Version {
  const { value } = version;
  const own = value && ownValue(value);
  return own === value ? version : { ...version, value: own };
}

function* piecesOf(
  { base, ...state }: MvccState,
  changes: readonly (readonly Version[])[],
): Generator<MvccState> {
  for (let i = 0; i === 0 || i < base.length; i += PIECE_VERSIONS)
    yield { ...state, base: base.slice(i, i + PIECE_VERSIONS) };
  for (const some of changes) yield { ...state, base: [], changes: some };
}

function newestOf(history: KeyHistory | undefined): LiveVersion | undefined {
  const last = history?.[history.length - 1];
  return last && alive(last);
}

function alive(version: Version): LiveVersion | undefined {
  return version.value === undefined ? undefined : (version as LiveVersion);
}

function versionAt(history: KeyHistory, revision: number): LiveVersion | undefined {
  const found = history[firstWhere(history, (it) => it.revision > revision) - 1];
  return found === undefined ? undefined : alive(found);
}

/** Two sequences of histories as one, in the order of their keys. */
function* merged(a: Generator<KeyHistory>, b: Generator<KeyHistory>): Generator<KeyHistory> {
  let left = a.next();
  let right = b.next();
  while (left.done !== true || right.done !== true) {
    const takeLeft =
      right.done === true || (left.done !== true && left.value[0]!.key < right.value[0]!.key);
    if (takeLeft) {
      yield left.value as KeyHistory;
      left = a.next();
    } else {
      yield right.value as KeyHistory;
      right = b.next();
    }
  }
}
