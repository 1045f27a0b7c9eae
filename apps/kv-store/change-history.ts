/** One change of one key. `value` is absent when the key was deleted. */
export interface Change {
  key: string;
  value?: Uint8Array;
  /** Position of the command that made it. */
  revision: number;
}

/** How much a {@link ChangeHistory} keeps, whichever is reached first. */
export interface HistoryLimits {
  readonly changesMax: number;
  /** Bytes of keys and values, plus {@link CHANGE_BYTES} for each change. */
  readonly bytesMax: number;
}

const DEFAULT_LIMITS: HistoryLimits = { changesMax: 200_000, bytesMax: 64 * 1024 * 1024 };
/** What a change costs beside its key and value, roughly. */
const CHANGE_BYTES = 200;
/** A block is a part of the whole that is forgotten at once, and what a reader gets at a time. */
const BLOCKS = 64;
const BLOCK_CHANGES_MAX = 1_000;
const BLOCK_BYTES_MAX = 256 * 1024;

interface Block {
  readonly changes: Change[];
  bytes: number;
}

/**
 * The newest changes, for watchers that come back. Bounded by their number and by their bytes; the oldest are forgotten
 * block by block. Not part of the replicated state: a replica remembers what it has applied itself.
 */
export class ChangeHistory {
  private readonly limits: HistoryLimits;
  private readonly block: HistoryLimits;
  private blocks: Block[] = [];
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

  /** Revision of the last change. */
  get newest(): number {
    return this.blocks.at(-1)?.changes.at(-1)?.revision ?? this.lost;
  }

  add(change: Change): void {
    const bytes = CHANGE_BYTES + 2 * change.key.length + (change.value?.length ?? 0);
    let last = this.blocks.at(-1);
    const full =
      last === undefined ||
      last.changes.length >= this.block.changesMax ||
      last.bytes + bytes > this.block.bytesMax;
    if (last === undefined || full) {
      last = { changes: [], bytes: 0 };
      this.blocks.push(last);
    }
    last.changes.push(change);
    last.bytes += bytes;
    this.changes++;
    this.size += bytes;
    while (this.changes > this.limits.changesMax || this.size > this.limits.bytesMax)
      this.forgetOldest();
  }

  /**
   * The next changes from revision `from` on: a piece of what there is, empty when there is none yet. `undefined` when
   * some of them were forgotten.
   */
  from(from: number): readonly Change[] | undefined {
    if (from <= this.lost) return undefined;
    const block = this.blocks[firstWhere(this.blocks, (it) => it.changes.at(-1)!.revision >= from)];
    if (block === undefined) return [];
    const { changes } = block;
    return changes.slice(firstWhere(changes, ({ revision }) => revision >= from));
  }

  private forgetOldest(): void {
    const oldest = this.blocks.shift()!;
    this.changes -= oldest.changes.length;
    this.size -= oldest.bytes;
    this.lost = oldest.changes.at(-1)!.revision;
  }
}

/** The index of the first item that `holds`, where all after it do as well. */
function firstWhere<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(items[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
