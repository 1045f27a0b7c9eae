import { assert, type DirectoryLock, type Disk, VarlogError } from '../base/index.ts';
import { type Frame, type Journal, SegmentedLog, StateFile } from '../store/index.ts';
import {
  type Configuration,
  decodeConfiguration,
  type EntryBatch,
  encodeConfiguration,
  type HardState,
  isConfigurationEntry,
  type LogShape,
  type PlacedConfiguration,
  sliceBatch,
  type Write,
} from './core/index.ts';

export interface Snapshot {
  readonly index: number;
  /** Term of the entry at `index`. */
  readonly term: number;
  /** Who belonged to the group at `index`. */
  readonly configuration: Configuration;
  readonly state: Uint8Array;
}

interface Pending {
  readonly sequence: number;
  /** Durable as soon as the log is up to here. */
  readonly end: number;
}

/** Entries as frames: a log of files of its own, or one in a journal that groups share. */
type EntryLog = Pick<
  SegmentedLog,
  | 'first'
  | 'end'
  | 'durableEnd'
  | 'pendingBytes'
  | 'onDurable'
  | 'append'
  | 'flushed'
  | 'read'
  | 'truncateTail'
  | 'trimHead'
  | 'reset'
  | 'close'
>;
/** A small value that is replaced as a whole. */
type Value = Pick<StateFile, 'value' | 'write'>;

const SCAN_BYTES = 4 * 1024 * 1024;
const SNAPSHOT_HEADER_BYTES = 20;

/**
 * What a member keeps on disk: its entries (a log of frames, epoch = term), its hard state and its
 * newest snapshot. Writes become durable in the order in which they were given.
 */
export class RaftStorage {
  /** Called with the sequence of the newest write that is durable, with all before it. */
  onPersisted: (sequence: number) => void = () => {};
  private readonly lock: DirectoryLock;
  private readonly log: EntryLog;
  private readonly hardStateFile: Value;
  private readonly snapshotFile: StateFile;
  private readonly onFailure: (error: VarlogError) => void;
  private readonly pending: Pending[] = [];
  private readonly queue: Write[] = [];
  private working: Promise<void> | undefined;
  /** While writes wait: up to here what is in the log is what the core believes it to be. */
  private settledEnd = Infinity;
  private newest: Snapshot | undefined;
  /** Received from the leader, by index: one becomes the newest when the core says so, while the next may arrive. */
  private readonly received = new Map<number, Snapshot>();

  private constructor(parts: {
    lock: DirectoryLock;
    log: EntryLog;
    hardStateFile: Value;
    snapshotFile: StateFile;
    onFailure: (error: VarlogError) => void;
  }) {
    this.lock = parts.lock;
    this.log = parts.log;
    this.hardStateFile = parts.hardStateFile;
    this.snapshotFile = parts.snapshotFile;
    this.onFailure = parts.onFailure;
    this.newest = decodeSnapshot(parts.snapshotFile.value);
    this.log.onDurable = () => this.report();
  }

  /**
   * Opens the folder, which belongs to one member of one group. Rejects with `IDENTITY_MISMATCH` when
   * it belongs to another one, with `DIRECTORY_IN_USE`, or with `CORRUPT`.
   */
  static async open(options: {
    disk: Disk;
    directory: string;
    identity: string;
    onFailure: (error: VarlogError) => void;
    /** Where entries and hard state are kept. Default: in files of its own. */
    journal?: Journal | undefined;
  }): Promise<RaftStorage> {
    const { disk, directory, identity, onFailure } = options;
    await disk.makeDirectory(directory);
    const lock = await disk.lock(directory);
    try {
      const snapshotFile = await StateFile.open(disk, `${directory}/snapshot`, identity);
      const { log, hardStateFile } = await openEntries(options);
      if (hardStateFile.value === undefined) await hardStateFile.write(encodeHardState(0, 0));
      const storage = new RaftStorage({ lock, log, hardStateFile, snapshotFile, onFailure });
      await storage.alignToSnapshot();
      return storage;
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

  /** Last index that can be read as the core knows it; grows as writes that wait are carried out. */
  get readableEnd(): number {
    return Math.min(this.log.end, this.settledEnd);
  }

  get snapshot(): Snapshot | undefined {
    return this.newest;
  }

  get hardState(): HardState {
    return decodeHardState(this.hardStateFile.value);
  }

  /** The shape of the log as it is on disk, of a group that began with `initial`. Reads all of it once. */
  async shape(initial: Configuration): Promise<LogShape> {
    const { first, end } = this.log;
    const snapshotIndex = this.newest?.index ?? 0;
    const snapshotTerm = this.newest?.term ?? 0;
    const runs: { index: number; term: number }[] = [];
    const configurations: PlacedConfiguration[] = [
      { index: snapshotIndex, configuration: this.newest?.configuration ?? initial },
    ];
    for (let next = first; next <= end; ) {
      const frames = await this.log.read(next, SCAN_BYTES);
      for (const frame of frames) {
        if (runs.at(-1)?.term !== frame.epoch) {
          runs.push({ index: Math.max(frame.position, first), term: frame.epoch });
        }
        const [batch] = toBatches([frame], frame.position);
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

  /** Starts a write. */
  write(write: Write): void {
    const plain = write.hardState === undefined && write.snapshot === undefined;
    if (plain && write.truncateTo === undefined && this.working === undefined) {
      this.append(write);
      return;
    }
    const kept = write.snapshot === undefined ? (write.truncateTo ?? this.log.end) : 0;
    this.settledEnd = Math.min(this.settledEnd, kept, this.log.end);
    this.queue.push(write);
    this.working ??= this.work().catch((error: unknown) => this.onFailure(asFailure(error)));
  }

  /** Entries from `from` on, at least one if it is there, whether durable or not. */
  read(from: number, bytesMax: number): EntryBatch[] | Promise<EntryBatch[]> {
    const frames = this.log.read(from, bytesMax);
    if (frames instanceof Promise) return frames.then((it) => toBatches(it, from));
    return toBatches(frames, from);
  }

  /** Keeps a snapshot from the leader until the core decides to install it. */
  receive(snapshot: Snapshot): void {
    this.received.set(snapshot.index, snapshot);
  }

  /** Makes a snapshot of this member durable. False: a newer one is there. */
  async saveSnapshot(snapshot: Snapshot): Promise<boolean> {
    if (this.newest !== undefined && this.newest.index >= snapshot.index) return false;
    this.newest = snapshot;
    await this.snapshotFile.write(encodeSnapshot(snapshot));
    return true;
  }

  /** Gives the entries below `first` back to the disk. */
  async trimHead(first: number): Promise<void> {
    await this.log.flushed(Math.min(first - 1, this.log.end));
    if (first > this.log.first && first <= this.log.end + 1) await this.log.trimHead(first);
  }

  async close(): Promise<void> {
    this.onPersisted = () => {};
    await this.working;
    await this.log.close();
    await this.lock.release();
  }

  private async alignToSnapshot(): Promise<void> {
    const { newest, log } = this;
    if (newest === undefined) return;
    const { index, term } = newest;
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
    this.pending.push({ sequence: write.sequence, end: this.log.end });
    if (write.batches.length === 0) this.report();
  }

  private async work(): Promise<void> {
    for (let write = this.queue.shift(); write !== undefined; write = this.queue.shift()) {
      if (write.hardState !== undefined) {
        const { term, vote } = write.hardState;
        await this.hardStateFile.write(encodeHardState(term, vote));
      }
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
  }

  private async install(index: number): Promise<void> {
    const snapshot = this.received.get(index);
    assert(snapshot !== undefined, 'the snapshot to install has arrived');
    await this.log.flushed(this.log.end);
    this.report();
    await this.saveSnapshot(snapshot);
    await this.log.reset(index + 1);
    for (const older of [...this.received.keys()]) if (older <= index) this.received.delete(older);
  }

  private report(): void {
    const { durableEnd } = this.log;
    let done = 0;
    while (done < this.pending.length && this.pending[done]!.end <= durableEnd) done++;
    if (done === 0) return;
    const { sequence } = this.pending[done - 1]!;
    this.pending.splice(0, done);
    this.onPersisted(sequence);
  }
}

/** Entries and hard state, which become durable together in a journal. */
async function openEntries({
  disk,
  directory,
  identity,
  onFailure,
  journal,
}: Parameters<typeof RaftStorage.open>[0]): Promise<{ log: EntryLog; hardStateFile: Value }> {
  const entries = `${identity} entries`;
  if (journal !== undefined) {
    const log = await journal.open(entries);
    log.onFailure = onFailure;
    return { log, hardStateFile: log };
  }
  const hardStateFile = await StateFile.open(disk, `${directory}/hard-state`, identity);
  const files = { disk, directory: `${directory}/entries`, identity: entries, onFailure };
  return { log: await SegmentedLog.open(files), hardStateFile };
}

function toFrame({ index, count, term, payload }: EntryBatch): Frame {
  return { position: index, count, epoch: term, payload };
}

function toBatches(frames: readonly Frame[], from: number): EntryBatch[] {
  const batches = frames.map(({ position, count, epoch, payload }) => ({
    index: position,
    count,
    term: epoch,
    payload,
  }));
  if (batches[0] !== undefined) batches[0] = sliceBatch(batches[0], from);
  return batches;
}

/** Whatever broke, as an error that ends a member. */
export function asFailure(error: unknown): VarlogError {
  if (VarlogError.is(error)) return error;
  return new VarlogError('INTERNAL', { what: String(error), cause: error });
}

// Numbers are kept as float64: exact below 2^53, without bigint.
function encodeHardState(term: number, vote: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, term, true);
  view.setFloat64(8, vote, true);
  return bytes;
}

function decodeHardState(bytes: Uint8Array | undefined): HardState {
  if (bytes === undefined) return { term: 0, vote: 0 };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { term: view.getFloat64(0, true), vote: view.getFloat64(8, true) };
}

function encodeSnapshot({ index, term, configuration, state }: Snapshot): Uint8Array {
  const members = encodeConfiguration(configuration);
  const bytes = new Uint8Array(SNAPSHOT_HEADER_BYTES + members.length + state.length);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, index, true);
  view.setFloat64(8, term, true);
  view.setUint32(16, members.length, true);
  bytes.set(members, SNAPSHOT_HEADER_BYTES);
  bytes.set(state, SNAPSHOT_HEADER_BYTES + members.length);
  return bytes;
}

function decodeSnapshot(bytes: Uint8Array | undefined): Snapshot | undefined {
  if (bytes === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stateOffset = SNAPSHOT_HEADER_BYTES + view.getUint32(16, true);
  return {
    index: view.getFloat64(0, true),
    term: view.getFloat64(8, true),
    configuration: decodeConfiguration(bytes.subarray(SNAPSHOT_HEADER_BYTES, stateOffset)),
    state: bytes.subarray(stateOffset),
  };
}
