import type { Random } from '../../base/index.ts';
import { FileImage } from './file-image.ts';

type Entry = FileImage | 'folder';

/** A change of names: as a whole or not at all, durable once one of its folders is synced. */
interface Change {
  readonly folders: readonly string[];
  readonly edits: readonly (readonly [path: string, entry: Entry | undefined])[];
}

/** The names on a disk: as programs see them, as the platter has them, and the changes in between. */
export class NameSpace {
  private visible = new Map<string, Entry>();
  private durable = new Map<string, Entry>();
  private pending: Change[] = [];

  file(path: string): FileImage | undefined {
    const entry = this.visible.get(path);
    return entry instanceof FileImage ? entry : undefined;
  }

  has(path: string): boolean {
    return path === '' || this.visible.has(path);
  }

  /** All files, by path, sorted. */
  files(): [string, FileImage][] {
    const found: [string, FileImage][] = [];
    for (const [path, entry] of this.visible)
      if (entry instanceof FileImage) found.push([path, entry]);
    return found.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  list(folder: string): string[] {
    const found: string[] = [];
    for (const path of this.visible.keys()) {
      if (parentOf(path) === folder) found.push(path.slice(path.lastIndexOf('/') + 1));
    }
    return found.sort();
  }

  create(path: string): FileImage {
    this.makeParents(path);
    const file = new FileImage();
    this.change([parentOf(path)], [[path, file]]);
    return file;
  }

  /** Moves a file, in the place of what is there; or a folder with all that is in it. */
  rename(from: string, to: string): void {
    this.makeParents(to);
    const isReplaced = (path: string): boolean => path === to || path.startsWith(`${to}/`);
    // What was there by the new name is gone for good: none of it may go, or come, later.
    const before = this.pending.filter(({ edits }) => edits.some(([it]) => isReplaced(it)));
    for (const change of before) this.persist(change);
    this.pending = this.pending.filter((change) => !before.includes(change));
    const moved = (path: string): string => `${to}${path.slice(from.length)}`;
    const isInside = (path: string): boolean => path === from || path.startsWith(`${from}/`);
    // What is not durable yet in a folder becomes so by its new name too.
    this.pending = this.pending.map(({ folders, edits }) => ({
      folders: [...folders, ...folders.filter(isInside).map(moved)],
      edits,
    }));
    const inside = [...this.visible].filter(([path]) => isInside(path));
    const edits = inside.flatMap(([path, entry]) => [
      [path, undefined] as const,
      [moved(path), entry] as const,
    ]);
    this.change([parentOf(from), parentOf(to)], edits);
  }

  remove(path: string): void {
    const inside = [...this.visible.keys()].filter(
      (it) => it === path || it.startsWith(`${path}/`),
    );
    // What is inside goes first.
    inside.sort().reverse();
    for (const it of inside) this.change([parentOf(it)], [[it, undefined]]);
  }

  /** Makes a folder and its parents, durably. */
  makeFolder(path: string): void {
    this.makeParents(`${path}/x`);
    for (let at = path; at !== ''; at = parentOf(at)) this.sync(parentOf(at));
  }

  sync(folder: string): void {
    for (const change of this.pending) if (change.folders.includes(folder)) this.persist(change);
    this.pending = this.pending.filter((change) => !change.folders.includes(folder));
  }

  /** Power is lost: each change that was not synced is kept or dropped, or `all` alike. */
  losePower(random: Random, all: 'dropped' | 'kept' | undefined): void {
    for (const change of this.pending) {
      if (all === 'kept' || (all === undefined && random.below(2) === 0)) this.persist(change);
    }
    this.pending = [];
    for (const path of [...this.durable.keys()].sort()) {
      const parent = parentOf(path);
      if (parent !== '' && !this.durable.has(parent)) this.durable.delete(path);
    }
    this.visible = new Map(this.durable);
  }

  /** A file vanishes from the platter. */
  lose(path: string): void {
    this.visible.delete(path);
    this.durable.delete(path);
  }

  /** Everything that may come to light after a power loss, each once. */
  images(): Set<FileImage> {
    const found = new Set<FileImage>();
    for (const map of [this.visible, this.durable]) {
      for (const entry of map.values()) if (entry instanceof FileImage) found.add(entry);
    }
    for (const { edits } of this.pending) {
      for (const [, entry] of edits) if (entry instanceof FileImage) found.add(entry);
    }
    return found;
  }

  copy(): NameSpace {
    const twins = new Map<Entry | undefined, Entry>();
    for (const image of this.images()) twins.set(image, image.copy());
    const twin = (entry: Entry | undefined): Entry | undefined => twins.get(entry) ?? entry;
    const copy = new NameSpace();
    for (const [path, entry] of this.visible) copy.visible.set(path, twin(entry)!);
    for (const [path, entry] of this.durable) copy.durable.set(path, twin(entry)!);
    copy.pending = this.pending.map(({ folders, edits }) => ({
      folders,
      edits: edits.map(([path, entry]) => [path, twin(entry)] as const),
    }));
    return copy;
  }

  private makeParents(path: string): void {
    const parent = parentOf(path);
    if (parent === '' || this.visible.has(parent)) return;
    this.makeParents(parent);
    this.change([parentOf(parent)], [[parent, 'folder']]);
  }

  private change(folders: readonly string[], edits: Change['edits']): void {
    apply(this.visible, edits);
    this.pending.push({ folders, edits });
  }

  private persist(change: Change): void {
    apply(this.durable, change.edits);
  }
}

function apply(names: Map<string, Entry>, edits: Change['edits']): void {
  for (const [path, entry] of edits) {
    if (entry === undefined) names.delete(path);
    else names.set(path, entry);
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}
