import type { Random } from '../../base/index.ts';

/** The unit that a disk writes whole: after a power loss a sector has old bytes or new ones. */
export const SECTOR_BYTES = 512;

type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly size: number };

/** What a power loss does with a change that was not synced. */
type Fate = 'dropped' | 'kept' | 'prefix' | 'subset' | 'zeros' | 'garbage';
const FATES: readonly Fate[] = ['dropped', 'kept', 'prefix', 'subset', 'zeros', 'garbage'];

/**
 * What becomes of unsynced pages when a sync fails. Three behaviours are known of file systems
 * (Rebello et al., "Can applications recover from fsync failures?", 2020): they count as clean
 * though they are lost, they stay dirty, or they show the old content again.
 */
export type SyncAftermath = 'lost' | 'dirty' | 'reverted';

/** Bytes with a size, growing as needed. */
class Content {
  size = 0;
  private bytes = new Uint8Array(0);

  read(offset: number, length: number): Uint8Array {
    return this.view(offset, offset + length).slice();
  }

  /** The bytes from `start` to `end`, as far as there are any, until the next change. */
  view(start: number, end: number): Uint8Array {
    return this.bytes.subarray(Math.min(start, this.size), Math.min(end, this.size));
  }

  write(offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    if (end > this.bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.bytes.length * 2));
      larger.set(this.bytes.subarray(0, this.size));
      this.bytes = larger;
    }
    this.bytes.set(bytes, offset);
    this.size = Math.max(this.size, end);
  }

  truncate(size: number): void {
    if (size > this.size) this.write(this.size, new Uint8Array(size - this.size));
    else this.bytes.fill(0, size, this.size);
    this.size = size;
  }

  copy(): Content {
    const copy = new Content();
    copy.write(0, this.bytes.subarray(0, this.size));
    return copy;
  }

  edit(change: (bytes: Uint8Array) => void): void {
    change(this.bytes.subarray(0, this.size));
  }
}

/** One file: what programs see of it, what is on the platter, and the changes in between, in order. */
export class FileImage {
  private visible = new Content();
  private durable = new Content();
  private pending: Change[] = [];
  /** What sectors held before they were last written over, in their places: for lost writes. */
  private replaced = new Content();

  get size(): number {
    return this.visible.size;
  }

  read(offset: number, length: number): Uint8Array {
    return this.visible.read(offset, length);
  }

  write(offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.visible.write(offset, bytes);
    this.pending.push({ kind: 'write', offset, bytes });
  }

  truncate(size: number): void {
    this.visible.truncate(size);
    this.pending.push({ kind: 'truncate', size });
  }

  sync(): void {
    for (const change of this.pending) this.persist(change);
    this.pending = [];
  }

  failSync(aftermath: SyncAftermath): void {
    if (aftermath === 'dirty') return;
    this.pending = [];
    if (aftermath === 'reverted') this.visible = this.durable.copy();
  }

  /** Power is lost: of what was not synced, each change has its own fate, or `all` the same one. */
  losePower(random: Random, all: 'dropped' | 'kept' | undefined): void {
    for (const change of this.pending) {
      this.persistPartly(change, all ?? FATES[random.below(FATES.length)]!, random);
    }
    this.pending = [];
    this.visible = this.durable.copy();
  }

  /** Changes the bytes on the platter behind everybody's back. */
  damage(change: (bytes: Uint8Array) => void): void {
    this.durable.edit(change);
    this.visible.edit(change);
  }

  /** What the sector held before it was last written over; zeros when it never was. */
  stale(sector: number): Uint8Array {
    const held = new Uint8Array(SECTOR_BYTES);
    held.set(this.replaced.read(sector * SECTOR_BYTES, SECTOR_BYTES));
    return held;
  }

  copy(): FileImage {
    const copy = new FileImage();
    copy.visible = this.visible.copy();
    copy.durable = this.durable.copy();
    copy.pending = [...this.pending];
    copy.replaced = this.replaced.copy();
    return copy;
  }

  private persist(change: Change): void {
    if (change.kind === 'truncate') {
      this.durable.truncate(change.size);
      return;
    }
    this.rememberReplaced(change.offset, change.bytes.length);
    this.durable.write(change.offset, change.bytes);
  }

  private rememberReplaced(offset: number, length: number): void {
    const start = sectorOf(offset) * SECTOR_BYTES;
    const end = sectorOf(offset + length + SECTOR_BYTES - 1) * SECTOR_BYTES;
    const { size } = this.durable;
    if (start >= size) return;
    this.replaced.write(start, this.durable.view(start, end));
    // What lay behind the end of the file may have been remembered when it was longer.
    if (end > size) this.replaced.write(size, new Uint8Array(-size & (SECTOR_BYTES - 1)));
  }

  private persistPartly(change: Change, fate: Fate, random: Random): void {
    if (fate === 'dropped') return;
    if (fate === 'kept' || change.kind === 'truncate') {
      this.persist(change);
      return;
    }
    const { offset, bytes } = change;
    // A sector that was synced before keeps its old bytes or gets its new ones; only fresh space can
    // turn out to hold something else.
    const fresh = this.durable.size;
    const sectors = Math.ceil((offset + bytes.length) / SECTOR_BYTES) - sectorOf(offset);
    const prefix = random.below(sectors + 1);
    for (let i = 0; i < sectors; i++) {
      const start = Math.max(offset, (sectorOf(offset) + i) * SECTOR_BYTES);
      const end = Math.min(offset + bytes.length, (sectorOf(offset) + i + 1) * SECTOR_BYTES);
      const chosen = fate === 'prefix' ? i < prefix : random.below(2) === 0;
      if (chosen) this.durable.write(start, bytes.subarray(start - offset, end - offset));
      else if (start >= fresh && (fate === 'zeros' || fate === 'garbage')) {
        this.durable.write(
          start,
          fate === 'zeros' ? new Uint8Array(end - start) : noise(random, end - start),
        );
      }
    }
  }
}

export function sectorOf(offset: number): number {
  return Math.floor(offset / SECTOR_BYTES);
}

function noise(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}
