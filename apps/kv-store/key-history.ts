import { firstWhere } from './first-where.ts';
import { ownValue } from './value-memory.ts';
import type { LiveVersion, Version } from './version.ts';

/** Versions of a block: what is copied of a long history before it changes. */
const BLOCK = 128;

/**
 * The versions of one key that may still be read, by revision. Its owner changes it in place, and nobody else does:
 * {@link KeyHistory.copy} makes one for another owner.
 */
export class KeyHistory {
  readonly owner: object;
  /** The newest versions; never empty. */
  private recent: Version[];
  /** Full blocks of those before, in few histories. A block is shared with copies, and never changed. */
  private blocks: (readonly Version[])[] | undefined;

  constructor(owner: object, recent: Version[]) {
    this.owner = owner;
    this.recent = recent;
  }

  get newest(): Version {
    return this.recent[this.recent.length - 1]!;
  }

  /** Costs at the most what there are blocks, and the versions of one. */
  copy(owner: object): KeyHistory {
    const copy = new KeyHistory(owner, this.recent.slice());
    copy.blocks = this.blocks?.slice();
    return copy;
  }

  add(version: Version): void {
    const { recent, blocks } = this;
    if (recent.length < BLOCK) {
      recent.push(version);
      return;
    }
    this.recent = [version];
    if (blocks === undefined) this.blocks = [recent];
    else blocks.push(recent);
  }

  /** What the key was at a revision; `undefined` as well where it was not there. */
  at(revision: number): LiveVersion | undefined {
    return alive(this.find(revision));
  }

  /**
   * What the key was at `revision` is the oldest that stays; where it was deleted by then, that is as if it had never been.
   * False: nothing stays.
   */
  prune(revision: number): boolean {
    const oldest = this.find(revision);
    if (oldest === undefined) return true;
    const isGone = oldest.value === undefined;
    if (isGone && oldest === this.newest) return false;
    this.dropBefore(isGone ? oldest.revision + 1 : oldest.revision);
    const { recent, blocks } = this;
    if (blocks === undefined && recent.length === 1) recent[0] = settled(recent[0]!);
    return true;
  }

  private find(revision: number): Version | undefined {
    const { recent, blocks } = this;
    if (blocks === undefined || recent[0]!.revision <= revision) return lastUpTo(recent, revision);
    const after = firstWhere(blocks, (it) => it[0]!.revision > revision);
    return after === 0 ? undefined : lastUpTo(blocks[after - 1]!, revision);
  }

  private dropBefore(revision: number): void {
    const isKept = (it: Version): boolean => it.revision >= revision;
    const { recent, blocks } = this;
    if (blocks !== undefined) {
      blocks.splice(
        0,
        firstWhere(blocks, (it) => isKept(it.at(-1)!)),
      );
      const first = blocks[0];
      if (first !== undefined) {
        if (!isKept(first[0]!)) blocks[0] = first.slice(firstWhere(first, isKept));
        return;
      }
      this.blocks = undefined;
    }
    dropFirst(recent, firstWhere(recent, isKept));
  }
}

function lastUpTo(versions: readonly Version[], revision: number): Version | undefined {
  return versions[firstWhere(versions, (it) => it.revision > revision) - 1];
}

export function alive(version: Version | undefined): LiveVersion | undefined {
  return version?.value === undefined ? undefined : (version as LiveVersion);
}

/** One at a time is what most keys lose, and a splice would make an array of it. */
function dropFirst(versions: Version[], count: number): void {
  if (count === 1) versions.shift();
  else if (count > 1) versions.splice(0, count);
}

/** Nobody knows how long it stays now: longer, perhaps, than all values that share its memory. */
function settled(version: Version): Version {
  const { value } = version;
  const own = value && ownValue(value);
  return own === value ? version : { ...version, value: own };
}
