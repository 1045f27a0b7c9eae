import type { DirectoryLock, Disk, DiskFile, FolderFacts } from '../base/index.ts';

/** A disk that passes everything on to another one: for those that do a few things in a way of their own. */
export class DiskOver implements Disk {
  protected readonly disk: Disk;

  constructor(disk: Disk) {
    this.disk = disk;
  }

  pathOf(path: string): string {
    return this.disk.pathOf(path);
  }

  open(path: string, mode: Parameters<Disk['open']>[1]): Promise<DiskFile> {
    return this.disk.open(path, mode);
  }

  rename(from: string, to: string): Promise<void> {
    return this.disk.rename(from, to);
  }

  remove(path: string): Promise<void> {
    return this.disk.remove(path);
  }

  list(directory: string): Promise<string[]> {
    return this.disk.list(directory);
  }

  makeDirectory(directory: string): Promise<void> {
    return this.disk.makeDirectory(directory);
  }

  syncDirectory(directory: string): Promise<void> {
    return this.disk.syncDirectory(directory);
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
}
