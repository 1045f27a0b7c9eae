import { type Random, VarlogError } from '../base/index.ts';
import type { ObjectStore } from './object-store.ts';
import type { SnapshotStore, StoredSnapshot } from './snapshot-store.ts';

/** The newest, and the one before it: for when the newest turns out to be damaged. */
const KEPT = 2;
const POSITION_DIGITS = 16;

interface Named {
  readonly name: string;
  readonly position: number;
}

/**
 * Snapshots of all replicas of a machine, as objects named `NAME-POSITION-WRITER`: each replica starts from the newest,
 * whoever made it, also one that is new or has lost its disk. A replica that is behind it makes none.
 */
export class SharedSnapshotStore implements SnapshotStore {
  private readonly objects: ObjectStore;
  private readonly name: string;
  /** Two replicas that are at the same position must not write the same object. */
  private readonly writer: string;
  /** Names of those that were found to be damaged: they are kept no more, and stand in nobody's way. */
  private readonly damaged = new Set<string>();
  /** Names of those that are known to be of this log. */
  private own = new Set<string>();
  private check: (chunks: StoredSnapshot['chunks']) => Promise<void> = async () => {};

  /** Throws `INVALID_ARGUMENT` for a name that objects cannot have. */
  constructor(objects: ObjectStore, name: string, random: Random) {
    if (!/^[\w-]{1,64}$/.test(name)) {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `"${name}" cannot be the name of a store of snapshots`,
        next: 'give 1 to 64 letters, digits, "-" and "_"',
      });
    }
    this.objects = objects;
    this.name = name;
    this.writer = random.id().replaceAll(/[^\w]/g, '');
  }

  guard(check: (chunks: StoredSnapshot['chunks']) => Promise<void>): void {
    this.check = check;
  }

  async save(position: number, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const newest = (await this.storedByOwn()).at(-1)?.position ?? 0;
    if (newest >= position) return newest;
    const digits = String(position).padStart(POSITION_DIGITS, '0');
    const own = `${this.name}-${digits}-${this.writer}`;
    await this.objects.put(own, chunks);
    this.damaged.delete(own);
    this.own.add(own);
    // Again, because another log's may have come at the same time: at least one of both sees the other.
    const stored = await this.storedByOwn();
    const old = [...this.damaged, ...stored.slice(0, -KEPT).map(({ name }) => name)];
    // Those that stay now are given up with the next one.
    for (const name of old) await this.objects.delete(name).catch(() => {});
    return stored.at(-1)?.position ?? position;
  }

  async load(below = Infinity): Promise<StoredSnapshot | undefined> {
    for (const it of await this.stored()) if (it.position >= below) this.damaged.add(it.name);
    // A store may go on to list what is not there any more.
    const absent = new Set<string>();
    for (;;) {
      const stored = (await this.stored()).filter(
        ({ name, position }) => position < below && !absent.has(name),
      );
      if (stored.length === 0) return undefined;
      for (const { name, position } of stored.reverse()) {
        const chunks = await this.objects.get(name);
        if (chunks !== undefined) return { position, chunks };
        absent.add(name);
      }
      // All of them were given up meanwhile: there are newer ones.
    }
  }

  /** All replicas start from the same snapshot, so they hold the log together. */
  async id(): Promise<string> {
    return this.name;
  }

  /** The same, as far as they are there. Throws `LOG_MISMATCH` where one of them is of another log: it stands for nothing of this one. */
  private async storedByOwn(): Promise<Named[]> {
    const stored = await this.stored();
    const unknown = stored.filter(({ name }) => !this.own.has(name));
    this.own = new Set(stored.map(({ name }) => name).filter((it) => this.own.has(it)));
    for (const { name } of unknown) {
      const chunks = await this.objects.get(name);
      // Listed, and not there: it stands for nothing that the log still has.
      if (chunks === undefined) continue;
      try {
        await this.check(chunks);
        this.own.add(name);
      } catch (error) {
        // Others gave it up while it was read.
        if (VarlogError.is(error, 'NOT_FOUND')) continue;
        if (!VarlogError.is(error, 'CORRUPT')) throw error;
        this.damaged.add(name);
      }
    }
    return stored.filter(({ name }) => this.own.has(name));
  }

  /** Those that are not known to be damaged, oldest first. */
  private async stored(): Promise<Named[]> {
    const pattern = new RegExp(`^${this.name}-(\\d{${POSITION_DIGITS}})-\\w+$`);
    const names = await this.objects.list(`${this.name}-`);
    return names.flatMap((name) => {
      const digits = pattern.exec(name)?.[1];
      if (digits === undefined || this.damaged.has(name)) return [];
      return [{ name, position: Number(digits) }];
    });
  }
}
