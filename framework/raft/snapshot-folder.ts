import { asVarlogError, chunksOf, type Disk, SerialQueue, VarlogError } from '../base/index.ts';
import { type SnapshotPlace, SnapshotReader, SnapshotWriter } from './snapshot-file.ts';
import type { Snapshot, SnapshotHead } from './stored-values.ts';

const NAME = 'snapshot';

/** A snapshot of another member, whole and on disk, that does not stand for the log yet. */
export interface ReceivedSnapshot {
  readonly snapshot: Snapshot;
  readonly place: SnapshotPlace;
}

/**
 * The snapshots in a member's folder: the newest one, `snapshot`, and those that are being written, `snapshot.N`. One of
 * these takes the place of the newest by its name, once it is whole; what is found of them when the folder is opened is
 * what an interrupted write left.
 */
export class SnapshotFolder {
  /** The newest one. */
  newest: Snapshot | undefined;
  private readonly disk: Disk;
  private readonly directory: string;
  private readonly label: string;
  private readonly signal: AbortSignal;
  private readonly onFailure: (error: VarlogError) => void;
  private readonly captures = new SerialQueue();
  private readonly adoptions = new SerialQueue();
  private made = 0;

  private constructor(options: SnapshotFolderOptions, newest: Snapshot | undefined) {
    this.disk = options.disk;
    this.directory = options.directory;
    this.label = options.label;
    this.signal = options.signal;
    this.onFailure = options.onFailure;
    this.newest = newest;
  }

  /** Reads all of the newest one, and removes what interrupted writes left. Rejects as {@link SnapshotReader.open} does. */
  static async open(options: SnapshotFolderOptions): Promise<SnapshotFolder> {
    const { disk, directory, label } = options;
    const place = { disk, path: `${directory}/${NAME}`, label };
    const reader = await SnapshotReader.open(place, { check: true });
    await reader?.close();
    for (const name of await disk.list(directory)) {
      if (name.startsWith(`${NAME}.`)) await disk.remove(`${directory}/${name}`);
    }
    // A process that died between renaming and syncing left one that a power loss would take back.
    if (reader !== undefined) await disk.syncDirectory(directory);
    return new SnapshotFolder(options, reader?.snapshot);
  }

  /** The newest one, to be read and closed. */
  read(): Promise<SnapshotReader | undefined> {
    return SnapshotReader.open(this.placeOf(NAME), { check: false });
  }

  /** Begins one from elsewhere. */
  create(head: SnapshotHead): Promise<SnapshotWriter> {
    const place = this.placeOf(`${NAME}.${++this.made}`);
    return this.onDisk(() => SnapshotWriter.create(place, head));
  }

  /** Adds to one. */
  append(writer: SnapshotWriter, bytes: Uint8Array): Promise<void> {
    return this.onDisk(() => writer.append(bytes));
  }

  async finish(writer: SnapshotWriter): Promise<ReceivedSnapshot> {
    return { snapshot: await this.onDisk(() => writer.finish()), place: writer.place };
  }

  /** Writes one of this member. False: a newer one is there. Where `state` throws, the error is passed on and nothing has changed. */
  capture(head: SnapshotHead, state: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean> {
    const isOld = (): boolean => this.newest !== undefined && this.newest.index >= head.index;
    return this.captures.run(async () => {
      if (isOld()) return false;
      const writer = await this.create(head);
      try {
        for await (const chunk of chunksOf(state)) {
          this.signal.throwIfAborted();
          if (isOld()) break;
          await this.append(writer, chunk);
        }
        if (!isOld()) return await this.adopt(await this.finish(writer));
      } catch (error) {
        await this.giveUp(writer);
        throw error;
      }
      await this.giveUp(writer);
      return false;
    });
  }

  /** Makes one the newest, durably. False: a newer one is there. */
  adopt(received: ReceivedSnapshot): Promise<boolean> {
    const { snapshot, place } = received;
    return this.adoptions.run(async () => {
      if (this.newest !== undefined && this.newest.index >= snapshot.index) {
        await this.discard(received);
        return false;
      }
      this.signal.throwIfAborted();
      await this.onDisk(async () => {
        await this.disk.rename(place.path, `${this.directory}/${NAME}`);
        await this.disk.syncDirectory(this.directory);
      });
      this.newest = snapshot;
      return true;
    });
  }

  /** Removes one that is not needed. */
  discard({ place }: ReceivedSnapshot): Promise<void> {
    return this.remove(place);
  }

  /** Gives up one that is being written. */
  async giveUp(writer: SnapshotWriter): Promise<void> {
    await writer.giveUp();
    await this.remove(writer.place);
  }

  /** Once the folder was let go, a file of this name is another one's, who removed what was left of this one's. */
  private async remove({ path }: SnapshotPlace): Promise<void> {
    if (!this.signal.aborted) await this.disk.remove(path).catch(() => {});
  }

  private placeOf(name: string): SnapshotPlace {
    return { disk: this.disk, path: `${this.directory}/${name}`, label: this.label };
  }

  /** A disk that fails ends the member; one that is full does not. */
  private async onDisk<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const isPassing =
        VarlogError.is(error) && ['DISK_FULL', 'INVALID_ARGUMENT'].includes(error.code);
      if (!isPassing) this.onFailure(asVarlogError(error));
      throw error;
    }
  }
}

interface SnapshotFolderOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly label: string;
  /** Aborted when the folder is let go: nothing more is written then. */
  readonly signal: AbortSignal;
  /** Told when the disk fails. */
  readonly onFailure: (error: VarlogError) => void;
}
