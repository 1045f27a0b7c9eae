import {
  assert,
  asVarlogError,
  type Clock,
  type DirectoryLock,
  type Disk,
  type DurationHistogram,
  sleep,
  VarlogError,
} from '../base/index.ts';
import { type Journal, syncTimes, unlessFull } from '../store/index.ts';
import {
  type Configuration,
  decodeConfiguration,
  type EntryBatch,
  type HardState,
  isConfigurationEntry,
  type LogShape,
  type PlacedConfiguration,
  type Write,
} from './core/index.ts';
import { Retention, type RetentionOptions } from './retention.ts';
import { type ReceivedSnapshot, SnapshotFolder } from './snapshot-folder.ts';
import {
  type EntryLog,
  type HardStateFile,
  openEntries,
  toBatches,
  toFrame,
} from './stored-entries.ts';
import type { Snapshot, SnapshotHead } from './stored-values.ts';

interface Pending {
  readonly sequence: number;
  /** Durable as soon as the log is up to here. */
  readonly end: number;
}

const SCAN_BYTES = 4 * 1024 * 1024;
/** A full disk is tried again after so long. */
const RETRY_MS = 500;

/**
 * What a member keeps on disk: its entries (a log of frames, epoch = term), its hard state and its
 * newest snapshot. Writes become durable in the order in which they were given.
 */
export class RaftStorage {
  private persisted: (sequence: number) => void = () => {};
  private readonly lock: DirectoryLock;
  private readonly log: EntryLog;
  private readonly hardStateFile: HardStateFile;
  /** What stands for entries, here and from elsewhere. */
  readonly snapshots: SnapshotFolder;
  private readonly onFailure: (error: VarlogError) => void;
  private readonly clock: Clock;
  readonly retention: Retention;
  /** How long the disk takes until something is durable. */
  readonly syncs: DurationHistogram;
  private readonly closing: AbortController;
  private readonly pending: Pending[] = [];
  private readonly queue: Write[] = [];
  private working: Promise<void> | undefined;
  /** While writes wait: up to here what is in the log is what the core believes it to be. */
  private settledEnd = Infinity;
  /** Received from the leader, by index; one becomes the newest when the core says so. */
  private readonly received = new Map<number, ReceivedSnapshot>();
  private installing = 0;
  /** A small value does not fit on the disk, and waits for room. */
  private noRoom: VarlogError | undefined;
  /** Since when the oldest write that is not durable has waited, Infinity while there is none. */
  private waitingSince = Infinity;

  private constructor(parts: {
    lock: DirectoryLock;
    log: EntryLog;
    hardStateFile: HardStateFile;
    snapshots: SnapshotFolder;
    closing: AbortController;
    onFailure: (error: VarlogError) => void;
    clock: Clock;
    retention: RetentionOptions | undefined;
    syncs: DurationHistogram;
  }) {
    this.clock = parts.clock;
    this.retention = new Retention(parts.retention);
    this.syncs = parts.syncs;
    this.lock = parts.lock;
    this.log = parts.log;
    this.hardStateFile = parts.hardStateFile;
    this.snapshots = parts.snapshots;
    this.closing = parts.closing;
    this.onFailure = parts.onFailure;
    this.log.onDurable(() => this.report());
  }

  /**
   * Opens the folder, which belongs to one member of one group. Rejects with `IDENTITY_MISMATCH` when
   * it belongs to another one, with `DIRECTORY_IN_USE`, `CORRUPT`, or `FORMAT_UNKNOWN`.
   */
  static async open(options: {
    disk: Disk;
    clock: Clock;
    directory: string;
    label: string;
    onFailure: (error: VarlogError) => void;
    retention?: RetentionOptions | undefined;
    /** Counted there by whoever made `disk`. Default: nothing is counted. */
    syncs?: DurationHistogram;
    /** Where entries and hard state are kept. Default: in files of its own. */
    journal?: Journal | undefined;
  }): Promise<RaftStorage> {
    const { disk, clock, directory, label, onFailure, retention, syncs = syncTimes() } = options;
    await disk.makeDirectory(directory);
    const lock = await disk.lock(directory);
    try {
      const closing = new AbortController();
      const { signal } = closing;
      const folder = { disk, directory, label, signal, onFailure };
      const snapshots = await SnapshotFolder.open(folder);
      const entries = await openEntries(options);
      try {
        const files = { lock, ...entries, snapshots, closing };
        const storage = new RaftStorage({ ...files, onFailure, clock, retention, syncs });
        await storage.alignToSnapshot();
        return storage;
      } catch (error) {
        await entries.log.close();
        throw error;
      }
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** First index that can be read. */
  get first(): number {
    return this.log.first;
  }

  /** Appended, not yet durable. */
  get pendingBytes(): number {
    return this.log.pendingBytes;
  }

  /** Why nothing more should be appended: there is no room, and what was appended waits for some. */
  get full(): VarlogError | undefined {
    return this.log.full ?? this.noRoom;
  }

  /** Since when nothing became durable though something waits for it; Infinity while nothing does. */
  get waitingSinceMs(): number {
    return this.waitingSince;
  }

  /** Whether a snapshot that was received is about to take the place of the log. */
  get isInstalling(): boolean {
    return this.installing > 0;
  }

  /** Last index that can be read as the core knows it; grows as writes that wait are carried out. */
  get readableEnd(): number {
    return Math.min(this.log.end, this.settledEnd);
  }

  get snapshot(): Snapshot | undefined {
    return this.snapshots.newest;
  }

  get hardState(): HardState {
    return this.hardStateFile.value!;
  }

  /** The shape of the log as it is on disk, of a group that began with `initial`. Reads all of it once. */
  async shape(initial: Configuration): Promise<LogShape> {
    const { first, end } = this.log;
    const { snapshot } = this;
    const snapshotIndex = snapshot?.index ?? 0;
    const snapshotTerm = snapshot?.term ?? 0;
    const runs: { index: number; term: number }[] = [];
    const configurations: PlacedConfiguration[] = [
      { index: snapshotIndex, configuration: snapshot?.configuration ?? initial },
    ];
    for (let next = first; next <= end; ) {
      const frames = await this.log.read(next, SCAN_BYTES);
      for (const frame of frames) {
        if (runs.at(-1)?.term !== frame.epoch) {
          runs.push({ index: Math.max(frame.position, first), term: frame.epoch });
        }
        const [batch] = toBatches([frame], frame.position);
        this.retention.note(batch!);
        if (frame.position > snapshotIndex && isConfigurationEntry(batch!)) {
          const configuration = decodeConfiguration(frame.payload);
          configurations.push({ index: frame.position, configuration });
        }
        next = frame.position + frame.count;
      }
    }
    const baseIndex = first - 1;
    const baseTerm = baseIndex === snapshotIndex ? snapshotTerm : undefined;
    const last = end;
    return { baseIndex, baseTerm, runs, last, snapshotIndex, snapshotTerm, configurations };
  }

  /**
   * Has the one who writes told what became durable: the sequence of the newest such write, with all before it. Once,
   * before anything is written; nothing is told after {@link close} was called.
   */
  onPersisted(listener: (sequence: number) => void): void {
    this.persisted = listener;
  }

  /** Starts a write. */
  write(write: Write): void {
    if (this.waitingSince === Infinity) this.waitingSince = this.clock.now();
    const plain = write.hardState === undefined && write.snapshot === undefined;
    if (plain && write.truncateTo === undefined && this.working === undefined) {
      this.append(write);
      return;
    }
    const kept = write.snapshot === undefined ? (write.truncateTo ?? this.log.end) : 0;
    this.settledEnd = Math.min(this.settledEnd, kept, this.log.end);
    this.queue.push(write);
    if (write.snapshot !== undefined) this.installing++;
    this.working ??= this.work().catch((error: unknown) => this.onFailure(asVarlogError(error)));
  }

  /** Entries from `from` on, at least one if it is there, whether durable or not. */
  read(from: number, bytesMax: number): EntryBatch[] | Promise<EntryBatch[]> {
    const frames = this.log.read(from, bytesMax);
    if (frames instanceof Promise) return frames.then((it) => toBatches(it, from));
    return toBatches(frames, from);
  }

  /** Keeps a snapshot from the leader until the core decides to install it. */
  receive(received: ReceivedSnapshot): void {
    this.received.set(received.snapshot.index, received);
  }

  drop(index: number): void {
    const received = this.received.get(index);
    this.received.delete(index);
    if (received !== undefined) void this.snapshots.discard(received);
  }

  /**
   * Makes a snapshot of this member durable, as its state comes. False: a newer one is there. Rejects with `DISK_FULL` when
   * there is no room for it, and with what `state` throws: then nothing has changed.
   */
  saveSnapshot(
    head: SnapshotHead,
    state: Uint8Array | AsyncIterable<Uint8Array>,
  ): Promise<boolean> {
    return this.snapshots.capture(head, state);
  }

  /** Gives the entries below `first` back to the disk. */
  async trimHead(first: number): Promise<void> {
    await this.log.flushed(Math.min(first - 1, this.log.end));
    if (first > this.log.first && first <= this.log.end + 1) await this.log.trimHead(first);
  }

  async close(): Promise<void> {
    this.persisted = () => {};
    this.closing.abort();
    await unlessFull(this.log, this.working ?? Promise.resolve());
    await this.log.close();
    await this.lock.release();
  }

  private async alignToSnapshot(): Promise<void> {
    const { snapshot, log } = this;
    if (snapshot === undefined) return;
    const { index, term } = snapshot;
    if (log.first > index + 1) {
      throw new VarlogError('CORRUPT', {
        what: `entries ${index + 1} to ${log.first - 1} are missing behind the snapshot`,
        because: 'files of the member were removed or restored from different times',
        next: 'rebuild this member under a new id',
      });
    }
    if (log.end === index && log.first === index + 1) return;
    if (index >= log.first && index <= log.end) {
      const [frame] = await log.read(index, 1);
      if (frame?.epoch === term) return;
    }
    if (log.first === index + 1) return;
    await log.reset(index + 1);
  }

  private append(write: Write): void {
    if (write.batches.length > 0) this.log.append(write.batches.map(toFrame));
    for (const batch of write.batches) this.retention.note(batch);
    this.pending.push({ sequence: write.sequence, end: this.log.end });
    if (write.batches.length === 0) this.report();
  }

  private async work(): Promise<void> {
    for (let write = this.queue.shift(); write !== undefined; write = this.queue.shift()) {
      if (write.hardState !== undefined) {
        const { hardState } = write;
        await this.withRoom(() => this.hardStateFile.write(hardState));
      }
      if (this.closing.signal.aborted && this.full !== undefined) return;
      if (write.snapshot !== undefined) await this.install(write.snapshot.index);
      if (write.truncateTo !== undefined) {
        await this.log.flushed(this.log.end);
        this.report();
        await this.log.truncateTail(write.truncateTo);
      }
      this.append(write);
    }
    this.working = undefined;
    this.settledEnd = Infinity;
    if (this.pending.length === 0) this.waitingSince = Infinity;
  }

  private async install(index: number): Promise<void> {
    const received = this.received.get(index);
    assert(received !== undefined, 'the snapshot to install has arrived');
    await this.log.flushed(this.log.end);
    this.report();
    this.received.delete(index);
    await this.withRoom(() => this.snapshots.adopt(received));
    await this.log.reset(index + 1);
    for (const it of this.received.keys()) if (it < index) this.drop(it);
    this.installing--;
  }

  /** Tries again until there is room. */
  private async withRoom(run: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await run();
        this.noRoom = undefined;
        return;
      } catch (error) {
        if (!VarlogError.is(error, 'DISK_FULL')) throw error;
        this.noRoom = new VarlogError('DISK_FULL', { what: error.message, outcome: 'notAppended' });
        await sleep(this.clock, RETRY_MS, this.closing.signal);
      }
    }
  }

  private report(): void {
    const { durableEnd } = this.log;
    let done = 0;
    while (done < this.pending.length && this.pending[done]!.end <= durableEnd) done++;
    if (done === 0) return;
    const { sequence } = this.pending[done - 1]!;
    this.pending.splice(0, done);
    const idle = this.pending.length === 0 && this.working === undefined;
    this.waitingSince = idle ? Infinity : this.clock.now();
    this.persisted(sequence);
  }
}
