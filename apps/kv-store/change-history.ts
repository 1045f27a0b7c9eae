import { firstWhere } from './first-where.ts';
import type { Version } from './version.ts';

/** How much a {@link ChangeHistory} keeps, whichever is reached first. Must be equal on all replicas. */
export interface HistoryLimits {
  readonly changesMax: number;
  /** Bytes of keys and values, plus {@link CHANGE_BYTES} for each change. */
  readonly bytesMax: number;
}

const DEFAULT_LIMITS: HistoryLimits = { changesMax: 100_000, bytesMax: 64 * 1024 * 1024 };
/** What a change costs beside its key and value, roughly. */
const CHANGE_BYTES = 200;
/** A block is a part of the whole that is forgotten at once, and what a reader gets at a time. */
const BLOCKS = 64;
const BLOCK_CHANGES_MAX = 1_000;
const BLOCK_BYTES_MAX = 256 * 1024;

interface Block {
  /** Only those of the last block become more; what is forgotten of others leaves them as they are. */
  readonly changes: Version[];
  bytes: number;
}

/** The newest changes in the order of their revisions, for watchers, and for reads of the past. */
export class ChangeHistory {
  private readonly limits: HistoryLimits;
  private readonly block: HistoryLimits;
  /** None is empty. The changes of one revision are in one block. */
  private blocks: Block[] = [];
  /** Whether the list and its last block must be copied before they change: they are another one's as well. */
  private isShared = false;
  private changes = 0;
  private size = 0;
  private lost: number;

  /** Changes up to revision `forgotten` are not known. */
  constructor(limits: Partial<HistoryLimits> = {}, forgotten = 0) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    this.block = {
      changesMax: Math.min(BLOCK_CHANGES_MAX, Math.ceil(this.limits.changesMax / BLOCKS)),
      bytesMax: Math.min(BLOCK_BYTES_MAX, Math.ceil(this.limits.bytesMax / BLOCKS)),
    };
    this.lost = forgotten;
  }

  /** Another one with the same changes, at no cost: from then on neither sees what the other does. */
  fork(): ChangeHistory {
    const fork = new ChangeHistory(this.limits, this.lost);
    fork.blocks = this.blocks;
    fork.changes = this.changes;
    fork.size = this.size;
    fork.isShared = true;
    this.isShared = true;
    return fork;
  }

  /** Bytes of everything that is kept, as {@link HistoryLimits} counts them. */
  get bytes(): number {
    return this.size;
  }

  get length(): number {
    return this.changes;
  }

  /** Changes up to this revision are no longer known. */
  get forgotten(): number {
    return this.lost;
  }

  /** `change` has the revision of the last one, or a later one. */
  add(change: Version): void {
    const bytes = bytesOf(change);
    this.own();
    let last = this.blocks.at(-1);
    const full =
      last === undefined ||
      last.changes.length >= this.block.changesMax ||
      last.bytes + bytes > this.block.bytesMax;
    if (last === undefined || (full && last.changes.at(-1)!.revision < change.revision)) {
      last = { changes: [], bytes: 0 };
      this.blocks.push(last);
    }
    last.changes.push(change);
    last.bytes += bytes;
    this.changes++;
    this.size += bytes;
  }

  /**
   * The next changes from revision `from` on: a piece of what there is, with whole revisions, empty when there is none yet.
   * `undefined` when some of them were forgotten.
   */
  from(from: number): readonly Version[] | undefined {
    if (from <= this.lost) return undefined;
    const block = this.blocks[firstWhere(this.blocks, (it) => it.changes.at(-1)!.revision >= from)];
    if (block === undefined) return [];
    const { changes } = block;
    return changes.slice(firstWhere(changes, ({ revision }) => revision >= from));
  }

  /** All changes, the oldest first: a piece that has another one behind it is given again and again. */
  *pieces(): Generator<readonly Version[]> {
    for (const { changes } of this.blocks) yield changes;
  }

  /** Shows all changes up to revision `through`, the oldest first. */
  visit(through: number, visit: (change: Version) => void): void {
    for (const { changes } of this.blocks) {
      for (const change of changes) {
        if (change.revision > through) return;
        visit(change);
      }
    }
  }

  /** Up to which revision it is to be forgotten so that the limits hold; the newest block stays whatever its size. */
  get excess(): number {
    const { changesMax, bytesMax } = this.limits;
    let changes = this.changes;
    let size = this.size;
    let through = this.lost;
    for (let i = 0; changes > changesMax || size > bytesMax; i++) {
      const block = this.blocks[i]!;
      if (i === this.blocks.length - 1) break;
      changes -= block.changes.length;
      size -= block.bytes;
      through = block.changes.at(-1)!.revision;
    }
    return through;
  }

  /** Forgets the changes up to revision `through`. */
  forget(through: number): void {
    if (through <= this.lost) return;
    this.own();
    this.lost = through;
    let oldest = this.blocks[0];
    for (
      ;
      oldest !== undefined && oldest.changes[0]!.revision <= through;
      oldest = this.blocks[0]
    ) {
      const { changes } = oldest;
      const end = firstWhere(changes, ({ revision }) => revision > through);
      let bytes = 0;
      for (let i = 0; i < end; i++) bytes += bytesOf(changes[i]!);
      this.changes -= end;
      this.size -= bytes;
      if (end === changes.length) this.blocks.shift();
      else this.blocks[0] = { changes: changes.slice(end), bytes: oldest.bytes - bytes };
    }
  }

  private own(): void {
    if (!this.isShared) return;
    this.isShared = false;
    this.blocks = this.blocks.slice();
    const last = this.blocks.pop();
    if (last !== undefined) this.blocks.push({ ...last, changes: last.changes.slice() });
  }
}

function bytesOf({ key, value }: Version): number {
  return CHANGE_BYTES + key.length + (value?.length ?? 0);
}
