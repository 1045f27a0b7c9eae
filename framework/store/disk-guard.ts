import type { Disk, DiskFile, VarlogError } from '../base/index.ts';
import { DiskOver } from './disk-over.ts';

/** A disk that takes no more writes once the folder on it was taken away: what is there can still be read. */
export class DiskGuard extends DiskOver {
  private reason: VarlogError | undefined;

  /** Whatever changes anything rejects with `error` from now on. */
  lose(error: VarlogError): void {
    this.reason ??= error;
  }

  override async open(path: string, mode: Parameters<Disk['open']>[1]): Promise<DiskFile> {
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

  override rename(from: string, to: string): Promise<void> {
    return this.change(() => this.disk.rename(from, to));
  }

  override remove(path: string): Promise<void> {
    return this.change(() => this.disk.remove(path));
  }

  override makeDirectory(directory: string): Promise<void> {
    return this.change(() => this.disk.makeDirectory(directory));
  }

  override syncDirectory(directory: string): Promise<void> {
    return this.change(() => this.disk.syncDirectory(directory));
  }

  private change(work: () => Promise<void>): Promise<void> {
    return this.reason === undefined ? work() : Promise.reject(this.reason);
  }

  private check(): void {
    if (this.reason !== undefined) throw this.reason;
  }
}
