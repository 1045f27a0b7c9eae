import { type Disk, SerialQueue, VarlogError } from '../base/index.ts';
import { jsonFormat } from './json-value.ts';
import { StateFile } from './state-file.ts';
import type { WriteAheadMark } from './write-ahead-disk.ts';

/** Whose data a folder is to hold. */
export interface DirectoryOwner {
  /** The number by which people call the cluster. */
  readonly clusterId: number;
  readonly nodeId: number;
  /** What kind of node: `storage node`, `metadata repository`. */
  readonly kind: string;
}

/** As where the file is missing: nothing else says whose the folder is. */
const REMEDY =
  'bring back the file "identity", or move the folder aside and run "varlog node replace"';

interface Written extends DirectoryOwner {
  readonly disk: string;
  readonly cluster?: string;
  /** {@link WRITE_AHEAD_FORMAT} while the folder has a write-ahead log; otherwise none, and all versions may read the folder. */
  readonly format?: number;
}

const WRITE_AHEAD_FORMAT = 1;

/**
 * Who a data folder is: the node that it belongs to, an identity of its own that it got when it was made, and the
 * cluster that it became part of.
 */
export class DirectoryIdentity implements WriteAheadMark {
  /** Opens the file as it is on the disk now. */
  private readonly reopen: () => Promise<StateFile<Written>>;
  private file: StateFile<Written>;
  private written: Written;
  private readonly changes = new SerialQueue();

  private constructor(
    reopen: () => Promise<StateFile<Written>>,
    file: StateFile<Written>,
    written: Written,
  ) {
    this.reopen = reopen;
    this.file = file;
    this.written = written;
  }

  /**
   * Makes sure that a folder belongs to `owner`: writes so where nothing is written, with `disk` as the folder's
   * own identity, and throws `IDENTITY_MISMATCH` where it belongs to another.
   */
  static async claim(
    disk: Disk,
    directory: string,
    owner: DirectoryOwner,
    newDisk: string,
  ): Promise<DirectoryIdentity> {
    await disk.makeDirectory(directory);
    const path = `${directory}/identity`;
    const open = () =>
      StateFile.open(
        disk,
        path,
        'directory identity',
        jsonFormat<Written>(WRITE_AHEAD_FORMAT),
        REMEDY,
      );
    const file = await open();
    const written = file.value;
    if (written === undefined) {
      const made = new DirectoryIdentity(open, file, { ...owner, disk: newDisk });
      await made.write(made.written);
      return made;
    }
    const [expected, found] = [describe(owner), describe(written)];
    if (found === expected) return new DirectoryIdentity(open, file, written);
    const shown = disk.pathOf(directory);
    throw new VarlogError('IDENTITY_MISMATCH', {
      what: `${shown} holds the data of ${found}, this is ${expected}`,
      because: 'the folder was copied or swapped, or the configuration names the wrong id',
      next: 'correct the id or the folder',
      details: { directory: shown, expected, found },
    });
  }

  /** Random id of the folder: it moves with the folder, and is new when the folder is made anew. */
  get disk(): string {
    return this.written.disk;
  }

  /** The cluster that it became part of; `undefined` before. */
  get cluster(): string | undefined {
    return this.written.cluster;
  }

  /**
   * Becomes part of a cluster, durably and for good. Throws `CLUSTER_MISMATCH` when it is part of another. When it
   * cannot be written down, it is part of none, and another try may succeed.
   */
  join(cluster: string): Promise<void> {
    // One at a time: of two clusters that ask at once, the second one finds it taken.
    return this.changes.run(() => this.joinNow(cluster));
  }

  get hasWriteAhead(): boolean {
    return this.written.format === WRITE_AHEAD_FORMAT;
  }

  /** A version that knows no write-ahead log refuses the folder while it has one: it would miss what lies there. */
  setHasWriteAhead(has: boolean): Promise<void> {
    return this.changes.run(() => {
      const { format: _, ...plain } = this.written;
      return this.write(has ? { ...plain, format: WRITE_AHEAD_FORMAT } : plain);
    });
  }

  private async joinNow(cluster: string): Promise<void> {
    const { cluster: own } = this.written;
    if (own === cluster) return;
    if (own !== undefined) {
      throw new VarlogError('CLUSTER_MISMATCH', {
        what: `this folder holds the data of cluster ${own}, not of ${cluster}`,
        because: 'the cluster was made anew, or the addresses are of another one',
        next: 'correct the addresses; to give the data up, empty the folder',
        details: { expected: own, found: cluster },
      });
    }
    await this.write({ ...this.written, cluster });
  }

  private async write(next: Written): Promise<void> {
    try {
      await this.file.write(next);
    } catch (error) {
      // A file that could not be replaced takes nothing more; the next try makes all of it anew.
      if (VarlogError.is(error, 'DISK_FAILED')) this.file = await this.reopen();
      throw error;
    }
    this.written = next;
  }
}

function describe({ clusterId, nodeId, kind }: DirectoryOwner): string {
  return `${kind} ${nodeId} of cluster ${clusterId}`;
}
