import {
  type DirectoryLock,
  type Disk,
  type DiskFile,
  type FolderFacts,
  VarlogError,
} from '../base/index.ts';

/** Bytes behind the end of a log that an interrupted write left. */
export interface TornEnd {
  readonly path: string;
  /** The first byte that does not belong to the log. */
  readonly offset: number;
  readonly bytes: number;
}

/**
 * A disk of which nothing is ever changed. What opening a log or a value would repair is noted and looks repaired to the
 * reader: ends that would be cut are not read, files that would be removed are not seen. Anything else that would change
 * the disk rejects with `DISK_FAILED`.
 */
export class ReadOnlyDisk implements Disk {
  /** What a reader cut. */
  readonly tornEnds: TornEnd[] = [];
  /** Files that a reader removed: what interrupted writes left. */
  readonly remains: string[] = [];
  private readonly disk: Disk;
  private readonly ends = new Map<string, number>();

  constructor(disk: Disk) {
    this.disk = disk;
  }

  pathOf(path: string): string {
    return this.disk.pathOf(path);
  }

  async open(path: string, mode: Parameters<Disk['open']>[1]): Promise<DiskFile> {
    if (mode === 'create') throw this.refused(path);
    return this.fileOf(path, await this.disk.open(path, 'read'));
  }

  rename(from: string): Promise<void> {
    return Promise.reject(this.refused(from));
  }

  async remove(path: string): Promise<void> {
    const slash = path.lastIndexOf('/');
    const names = await this.disk.list(path.slice(0, Math.max(slash, 0)));
    if (names.includes(path.slice(slash + 1))) this.remains.push(path);
  }

  async list(directory: string): Promise<string[]> {
    const names = await this.disk.list(directory);
    return names.filter((name) => !this.remains.includes(`${directory}/${name}`));
  }

  async makeDirectory(): Promise<void> {}

  async syncDirectory(): Promise<void> {}

  inspect(directory: string): Promise<FolderFacts> {
    return this.disk.inspect(directory);
  }

  lock(directory: string): Promise<DirectoryLock> {
    return Promise.reject(this.refused(directory));
  }

  isLocked(directory: string): Promise<boolean> {
    return this.disk.isLocked(directory);
  }

  private fileOf(path: string, file: DiskFile): DiskFile {
    const size = async (): Promise<number> =>
      Math.min(await file.size(), this.ends.get(path) ?? Infinity);
    return {
      read: async (offset, length) =>
        file.read(offset, Math.max(0, Math.min(length, (await size()) - offset))),
      // Recovery writes again what it read: the bytes that are there.
      write: async () => {},
      writeDurably: () => Promise.reject(this.refused(path)),
      truncate: async (end) => {
        const bytes = (await size()) - end;
        if (bytes > 0) this.tornEnds.push({ path, offset: end, bytes });
        this.ends.set(path, end);
      },
      sync: async () => {},
      size,
      close: () => file.close(),
    };
  }

  private refused(path: string): VarlogError {
    return new VarlogError('DISK_FAILED', {
      what: `${this.pathOf(path)} is only read, and was about to be changed`,
      outcome: 'notAppended',
    });
  }
}
