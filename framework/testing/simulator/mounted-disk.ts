import {
  type DirectoryLock,
  type Disk,
  type DiskFile,
  type FolderFacts,
  type Random,
  VarlogError,
} from '../../base/index.ts';
import type { FileImage, SyncAftermath } from './file-image.ts';
import type { NameSpace } from './name-space.ts';

/** One call to the disk, as faults see it and as the record shows it. */
export interface DiskOperation {
  readonly kind:
    | 'open'
    | 'read'
    | 'write'
    | 'truncate'
    | 'sync'
    | 'size'
    | 'close'
    | 'rename'
    | 'remove'
    | 'list'
    | 'makeDirectory'
    | 'syncDirectory'
    | 'inspect'
    | 'lock';
  readonly path: string;
  readonly offset?: number;
  readonly bytes?: number;
}

/** What an operation does: when it is done, when a crash interrupts it, when it fails. */
export type Work<T> = [
  effect: (names: NameSpace, lies: boolean) => T,
  interrupted?: ((random: Random) => void) | undefined,
  failed?: ((random: Random, aftermath: SyncAftermath) => void) | undefined,
];

/** Carries out operations: now, later, not at all, or with an error. */
export interface Performer {
  /** How many bytes from `offset` of a file on there is room for. */
  roomAt(path: string, offset: number): number;
  perform<T>(mount: MountedDisk, operation: DiskOperation, ...work: Work<T>): Promise<T>;
}

/** The disk as one life of a process has it. */
export class MountedDisk implements Disk {
  dead = false;
  openFiles = 0;
  /** What a crash does with the operations that are under way. */
  readonly inFlight = new Set<() => void>();
  private readonly disk: Performer;
  private readonly locks = new Set<string>();

  constructor(disk: Performer) {
    this.disk = disk;
  }

  pathOf(path: string): string {
    return `/${normal(path)}`;
  }

  /** Has an operation carried out, in this life only. */
  perform<T>(operation: DiskOperation, ...rest: Work<T>): Promise<T> {
    return this.disk.perform(this, operation, ...rest);
  }

  roomAt(path: string, offset: number): number {
    return this.disk.roomAt(path, offset);
  }

  open(given: string, mode: Parameters<Disk['open']>[1]): Promise<DiskFile> {
    const path = normal(given);
    return this.perform({ kind: 'open', path }, (names) => {
      let image = names.file(path);
      if (image === undefined && mode !== 'create') throw notFound(path);
      image ??= names.create(path);
      this.openFiles++;
      return new SimulatedFile(this, path, image);
    });
  }

  rename(from: string, to: string): Promise<void> {
    const operation = { kind: 'rename', path: normal(from) } as const;
    return this.perform(operation, (names) => {
      if (!names.has(operation.path)) throw notFound(operation.path);
      names.rename(operation.path, normal(to));
    });
  }

  remove(path: string): Promise<void> {
    const operation = { kind: 'remove', path: normal(path) } as const;
    return this.perform(operation, (names) => names.remove(operation.path));
  }

  list(directory: string): Promise<string[]> {
    const operation = { kind: 'list', path: normal(directory) } as const;
    return this.perform(operation, (names) => names.list(operation.path));
  }

  makeDirectory(directory: string): Promise<void> {
    const operation = { kind: 'makeDirectory', path: normal(directory) } as const;
    return this.perform(operation, (names) => names.makeFolder(operation.path));
  }

  syncDirectory(directory: string): Promise<void> {
    const operation = { kind: 'syncDirectory', path: normal(directory) } as const;
    return this.perform(operation, (names, lies) => {
      if (!names.has(operation.path)) throw notFound(operation.path);
      if (!lies) names.sync(operation.path);
    });
  }

  inspect(directory: string): Promise<FolderFacts> {
    const path = normal(directory);
    return this.perform({ kind: 'inspect', path }, (names) => {
      if (!names.has(path)) throw notFound(path);
      const inside = names.files().filter(([it]) => it.startsWith(`${path}/`));
      const bytes = inside.reduce((sum, [, image]) => sum + image.size, 0);
      return { path: `/${path}`, madeAt: 0, bytes, usedBytes: 0, totalBytes: 0 };
    });
  }

  lock(directory: string): Promise<DirectoryLock> {
    const path = normal(directory);
    return this.perform({ kind: 'lock', path }, () => {
      if (this.locks.has(path)) {
        throw new VarlogError('DIRECTORY_IN_USE', {
          what: `${path} is locked`,
          next: 'stop the process that uses it, or choose another folder',
        });
      }
      this.locks.add(path);
      let locked = true;
      return {
        release: async () => {
          if (locked) this.locks.delete(path);
          locked = false;
        },
      };
    });
  }

  async isLocked(directory: string): Promise<boolean> {
    return this.locks.has(normal(directory));
  }
}

class SimulatedFile implements DiskFile {
  private readonly owner: MountedDisk;
  private readonly path: string;
  private readonly image: FileImage;
  private closed = false;

  constructor(owner: MountedDisk, path: string, image: FileImage) {
    this.owner = owner;
    this.path = path;
    this.image = image;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    const operation = { kind: 'read', path: this.path, offset, bytes: length } as const;
    return this.perform(operation, () => this.image.read(offset, length));
  }

  write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    const bytes = joined(chunks);
    const operation = { kind: 'write', path: this.path, offset, bytes: bytes.length } as const;
    const part = (random: Random): void => {
      const end = Math.min(random.below(bytes.length + 1), this.owner.roomAt(this.path, offset));
      this.image.write(offset, bytes.subarray(0, end));
    };
    return this.perform(operation, () => this.image.write(offset, bytes), part, part);
  }

  async writeDurably(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.write(offset, chunks);
    await this.sync();
  }

  truncate(size: number): Promise<void> {
    const operation = { kind: 'truncate', path: this.path, offset: size } as const;
    return this.perform(operation, () => this.image.truncate(size));
  }

  sync(): Promise<void> {
    return this.perform(
      { kind: 'sync', path: this.path },
      (_names, lies) => {
        if (!lies) this.image.sync();
      },
      undefined,
      (_random, aftermath) => this.image.failSync(aftermath),
    );
  }

  size(): Promise<number> {
    return this.perform({ kind: 'size', path: this.path }, () => this.image.size);
  }

  async close(): Promise<void> {
    await this.perform({ kind: 'close', path: this.path }, () => {
      this.closed = true;
      this.owner.openFiles--;
    });
  }

  private perform<T>(
    operation: DiskOperation,
    effect: (names: NameSpace, lies: boolean) => T,
    interrupted?: (random: Random) => void,
    failed?: (random: Random, aftermath: SyncAftermath) => void,
  ): Promise<T> {
    if (this.closed) {
      return Promise.reject(
        new VarlogError('DISK_FAILED', { what: `${this.path} was used after it was closed` }),
      );
    }
    return this.owner.perform(operation, effect, interrupted, failed);
  }
}

/** A copy: the chunks belong to the caller, and what was written may be needed until it is synced. */
function joined(chunks: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const chunk of chunks) size += chunk.length;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function normal(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

export function notFound(path: string): VarlogError {
  return new VarlogError('NOT_FOUND', { what: `there is no ${path}`, details: { path } });
}
