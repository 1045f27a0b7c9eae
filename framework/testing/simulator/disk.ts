import {
  type Clock,
  type DirectoryLock,
  type Disk,
  type DiskFile,
  type ErrorCode,
  type FolderFacts,
  type Random,
  VarlogError,
} from '../../base/index.ts';
import { type FileImage, SECTOR_BYTES, type SyncAftermath, sectorOf } from './file-image.ts';
import {
  type DiskOperation,
  MountedDisk,
  notFound,
  type Performer,
  type Work,
} from './mounted-disk.ts';
import { NameSpace } from './name-space.ts';

export type DiskErrno = 'EIO' | 'EMFILE' | 'ENOSPC' | 'EROFS';

/** What goes wrong with a disk. May be replaced at any time. */
export interface DiskFaults {
  /** How long an operation takes, in milliseconds. Needs a clock. */
  latencyMs?: (operation: DiskOperation, random: Random) => number;
  /** Asked before each operation: the error that it fails with, if it is to fail. */
  fail?: (operation: DiskOperation, random: Random) => DiskErrno | undefined;
  /** Writes that would make all files together larger than this fail with `ENOSPC`. */
  capacityBytes?: number;
  /** What becomes of unsynced changes when a sync fails. Default: drawn once per disk. */
  afterFailedSync?: SyncAftermath;
  /** Operations that claim success and do nothing: to see that a test would notice. */
  lies?: ReadonlySet<'sync' | 'syncDirectory'>;
}

export interface SimulatedDiskOptions {
  /** With a clock operations take time; without one they are done in the next microtask. */
  clock?: Clock;
  random: Random;
  faults?: DiskFaults;
}

const CODES: Record<DiskErrno, ErrorCode> = {
  EIO: 'DISK_FAILED',
  EMFILE: 'DISK_FULL',
  ENOSPC: 'DISK_FULL',
  EROFS: 'DIRECTORY_UNWRITABLE',
};

/**
 * A disk in memory that keeps apart what programs see and what would survive a power loss, and can
 * fail in all the ways disks do. The same random numbers give the same behaviour.
 *
 * ```ts
 * const disk = new SimulatedDisk({ random });
 * const log = await SegmentedLog.open({ disk, … });
 * disk.crash('powerLoss');                      // pending calls never settle, the old handles are dead
 * const again = await SegmentedLog.open({ disk, … });
 * ```
 */
export class SimulatedDisk implements Disk, Performer {
  faults: DiskFaults;
  /** Operations that were begun so far. */
  operationCount = 0;
  /** Called with each operation as it begins. */
  onOperation: (operation: DiskOperation) => void = () => {};
  private readonly clock: Clock | undefined;
  private readonly random: Random;
  private readonly afterFailedSync: SyncAftermath;
  private names = new NameSpace();
  private mounted: MountedDisk;
  private haltBefore = Infinity;
  private halt: () => void = () => {};

  constructor(options: SimulatedDiskOptions) {
    this.clock = options.clock;
    this.random = options.random;
    this.faults = options.faults ?? {};
    this.afterFailedSync = (['lost', 'dirty', 'reverted'] as const)[options.random.below(3)]!;
    this.mounted = new MountedDisk(this);
  }

  /** A view of the disk that is dead after the next crash: calls on it then never settle. */
  mount(): Disk {
    return this.mounted;
  }

  /**
   * The process dies (`kill`: what was written stays) or the machine does (`powerLoss`: of what was
   * not synced each change is dropped, kept, or kept in part). Calls in flight may have had their
   * effect or not, and never settle. The disk can be used again at once.
   */
  crash(mode: 'kill' | 'powerLoss'): void {
    const { inFlight } = this.mounted;
    this.mounted.dead = true;
    for (const interrupt of inFlight) interrupt();
    this.mounted = new MountedDisk(this);
    this.haltBefore = Infinity;
    if (mode === 'kill') return;
    const all = ([undefined, undefined, 'dropped', 'kept'] as const)[this.random.below(4)];
    for (const image of this.names.images()) image.losePower(this.random, all);
    this.names.losePower(this.random, all);
  }

  /**
   * Stops the disk before its operation number `operation` (counted from 1): that one and all later
   * ones never settle. Resolves when that has happened. For visiting every crash point of a workload.
   */
  haltAt(operation: number): Promise<void> {
    this.haltBefore = operation;
    return new Promise((resolve) => {
      this.halt = resolve;
    });
  }

  /** Another disk in the same state; calls in flight on this one are not on that one. */
  clone(random: Random): SimulatedDisk {
    const clone = new SimulatedDisk({
      random,
      ...(this.clock && { clock: this.clock }),
      faults: this.faults,
    });
    clone.names = this.names.copy();
    return clone;
  }

  /** All files, sorted by path, with their size. */
  files(): { path: string; size: number }[] {
    return this.names.files().map(([path, image]) => ({ path, size: image.size }));
  }

  /** Files that are open. */
  get openFiles(): number {
    return this.mounted.openFiles;
  }

  /** Changes a file's bytes on the platter, in place. */
  damage(path: string, change: (bytes: Uint8Array) => void): void {
    this.image(path).damage(change);
  }

  flipBit(path: string, offset: number, bit = this.random.below(8)): void {
    this.damage(path, (bytes) => {
      bytes[offset]! ^= 1 << bit;
    });
  }

  /** The sector that holds `offset` reads as zeros. */
  zeroSector(path: string, offset: number): void {
    this.replaceSector(path, offset, new Uint8Array(SECTOR_BYTES));
  }

  /** The last write to the sector that holds `offset` never reached it. */
  loseSectorWrite(path: string, offset: number): void {
    this.replaceSector(path, offset, this.image(path).stale(sectorOf(offset)));
  }

  /** The sector that holds `from` was written to the place of the one that holds `to`. */
  misdirectSector(path: string, from: number, to: number): void {
    const source = sectorOf(from) * SECTOR_BYTES;
    this.replaceSector(path, to, this.image(path).read(source, SECTOR_BYTES));
  }

  loseFile(path: string): void {
    this.names.lose(path);
  }

  open(path: string, mode: Parameters<Disk['open']>[1]): Promise<DiskFile> {
    return this.mounted.open(path, mode);
  }
  rename(from: string, to: string): Promise<void> {
    return this.mounted.rename(from, to);
  }
  remove(path: string): Promise<void> {
    return this.mounted.remove(path);
  }
  pathOf(path: string): string {
    return this.mounted.pathOf(path);
  }
  list(directory: string): Promise<string[]> {
    return this.mounted.list(directory);
  }
  makeDirectory(directory: string): Promise<void> {
    return this.mounted.makeDirectory(directory);
  }
  syncDirectory(directory: string): Promise<void> {
    return this.mounted.syncDirectory(directory);
  }
  inspect(directory: string): Promise<FolderFacts> {
    return this.mounted.inspect(directory);
  }
  lock(directory: string): Promise<DirectoryLock> {
    return this.mounted.lock(directory);
  }

  isLocked(directory: string): Promise<boolean> {
    return this.mounted.isLocked(directory);
  }

  /** Carries out an operation for a mount. */
  perform<T>(mount: MountedDisk, operation: DiskOperation, ...work: Work<T>): Promise<T> {
    const [effect, interrupted, failed] = work;
    return new Promise((resolve, reject) => {
      if (mount.dead) return;
      this.operationCount++;
      if (this.operationCount >= this.haltBefore) {
        this.halt();
        return;
      }
      this.onOperation(operation);
      const interrupt = (): void => interrupted?.(this.random);
      mount.inFlight.add(interrupt);
      const planted = this.faults.fail?.(operation, this.random);
      const errno = planted ?? (this.lacksRoomFor(operation) ? 'ENOSPC' : undefined);
      const run = (): void => {
        if (mount.dead) return;
        mount.inFlight.delete(interrupt);
        if (errno !== undefined) {
          failed?.(this.random, this.faults.afterFailedSync ?? this.afterFailedSync);
          reject(diskError(operation, errno));
          return;
        }
        try {
          const lies = this.faults.lies?.has(operation.kind as 'sync') ?? false;
          resolve(effect(this.names, lies));
        } catch (error) {
          reject(error);
        }
      };
      if (this.clock === undefined) void Promise.resolve().then(run);
      else this.clock.after(this.latencyMs(operation), run);
    });
  }

  roomAt(path: string, offset: number): number {
    const { capacityBytes } = this.faults;
    if (capacityBytes === undefined) return Infinity;
    const free = this.files().reduce((room, it) => room - it.size, capacityBytes);
    const within = (this.names.file(path)?.size ?? 0) - offset;
    return Math.max(0, within + Math.max(0, free));
  }

  private lacksRoomFor({ kind, path, offset = 0, bytes = 0 }: DiskOperation): boolean {
    return kind === 'write' && bytes > this.roomAt(path, offset);
  }

  private latencyMs(operation: DiskOperation): number {
    if (this.faults.latencyMs !== undefined) return this.faults.latencyMs(operation, this.random);
    const slowestMs = operation.kind.startsWith('sync') ? 2 : 0.1;
    return slowestMs * (0.1 + 0.9 * this.random.fraction());
  }

  private image(path: string): FileImage {
    const image = this.names.file(path);
    if (image === undefined) throw notFound(path);
    return image;
  }

  private replaceSector(path: string, offset: number, content: Uint8Array): void {
    const start = sectorOf(offset) * SECTOR_BYTES;
    this.damage(path, (bytes) => {
      bytes.set(content.subarray(0, bytes.length - start), start);
    });
  }
}

function diskError({ kind, path }: DiskOperation, errno: DiskErrno): VarlogError {
  return new VarlogError(CODES[errno], {
    what: `${path}: ${errno}`,
    because: `planted in ${kind}`,
    details: { path, errno },
  });
}
