import type { Disk } from '../base/index.ts';
import { replaceFileBy } from '../store/index.ts';
import { checkObjectName, isObjectName } from './object-names.ts';
import type { ObjectStore } from './object-store.ts';

const READ_BYTES = 256 * 1024;

/** Objects as files in the root of a disk, which may be shared: each is replaced atomically. */
export class DiskObjectStore implements ObjectStore {
  private readonly disk: Disk;

  constructor(disk: Disk) {
    this.disk = disk;
  }

  async put(name: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    checkObjectName(name);
    await this.disk.makeDirectory('.');
    await replaceFileBy(this.disk, name, async (file) => {
      let at = 0;
      for await (const chunk of chunks) {
        await file.write(at, [chunk]);
        at += chunk.length;
      }
    });
  }

  async get(name: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    checkObjectName(name);
    const names = await this.list(name);
    return names.includes(name) ? this.read(name) : undefined;
  }

  async list(prefix: string): Promise<readonly string[]> {
    const names = await this.disk.list('.');
    // What is being written has another name, with a dot.
    return names.filter((it) => it.startsWith(prefix) && isObjectName(it));
  }

  async delete(name: string): Promise<void> {
    checkObjectName(name);
    await this.disk.remove(name);
  }

  private async *read(name: string): AsyncGenerator<Uint8Array> {
    const file = await this.disk.open(name, 'existing');
    try {
      for (let at = 0; ; at += READ_BYTES) {
        const chunk = await file.read(at, READ_BYTES);
        if (chunk.length > 0) yield chunk;
        if (chunk.length < READ_BYTES) return;
      }
    } finally {
      await file.close();
    }
  }
}
