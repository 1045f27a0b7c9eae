import type { DirectoryLock, Disk, DiskFile, FolderFacts, VarlogError } from '../base/index.ts';

/** A disk that takes no more writes once the folder on it was taken away: what is there can still be read. */
export class DiskGuard implements Disk {
  private readonly disk: Disk;
  private reason: VarlogError | undefined;

  constructor(disk: Disk) {
    this.disk = disk;
  }

  /** Whatever changes anything rejects with `error` from now on. */
  lose(error: VarlogError): void {
    this.reason ??= error;
  }

  pathOf(path: string): string {
    return this.disk.pathOf(path);
  }

  async open(path: string, mode: Parameters<Disk['open']>[1]): Promise<DiskFile> {
    if (mode === 'create') this.check();
    const file = await this.disk.open(path, mode);
    return {
      read: (offset, length) => file.read(offset, length),
      write: (offset, chunks) => this.change(() => file.write(offset, chunks)),
      writeDurably: (offset, chunks) => this.change(() => file.writeDurably(offset, chunks)),
      truncate: (size) => this.change(() => file.truncate(size)),
      sync: () => this.change(() => file.sync()),
      size: () => file.size(),
      close: () => file.close(),
    };
  }

  rename(from: string, to: string): Promise<void> {
    return this.change(() => this.disk.rename(from, to));
  }

  remove(path: string): Promise<void> {
    return this.change(() => this.disk.remove(path));
  }

  list(directory: string): Promise<string[]> {
    return this.disk.list(directory);
  }

  makeDirectory(directory: string): Promise<void> {
    return this.change(() => this.disk.makeDirectory(directory));
  }

  syncDirectory(directory: string): Promise<void> {
    return this.change(() => this.disk.syncDirectory(directory));
  }

  inspect(directory: string): Promise<FolderFacts> {
    return this.disk.inspect(directory);
  }

  lock(directory: string): Promise<DirectoryLock> {
    return this.disk.lock(directory);
  }

  isLocked(directory: string): Promise<boolean> {
    return this.disk.isLocked(directory);
  }

  private change(work: () => Promise<void>): Promise<void> {
    return this.reason === undefined ? work() : Promise.reject(this.reason);
  }

  private check(): void {
    if (this.reason !== undefined) throw this.reason;
  }
}
