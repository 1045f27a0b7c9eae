import { type Batch, type Disk, keysOf, producerOf, VarlogError } from '../../base/index.ts';
import { frameEnd, type SegmentedLog, StateFile, type ValueFormat } from '../../store/index.ts';
import * as wire from '../../wire/gen/log.ts';
import {
  type KeySnapshot,
  KeyTable,
  keyHash,
  keysUnknownUpTo,
  type ProducerLimits,
  type ProducerSnapshot,
  ProducerTable,
} from '../core/index.ts';
import type { CommitTable } from './commit-table.ts';

/** Records that are read at once when a replica is opened. */
const SCAN_BYTES = 1024 * 1024;

/** Where the table of a replica comes from. */
export interface ProducerSources {
  readonly records: SegmentedLog;
  readonly commits: CommitTable;
  /** Ordered up to here, as far as this replica knows. */
  readonly committedEnd: number;
}

/**
 * What a replica knows of producers and of keys, and a file that holds it as it was at some LLSN. What came after that is found in
 * the records when the replica is opened. So the file is written anew
 *
 * - when a segment of records was begun behind it: no more has to be read than the newest segment, or about that;
 * - before records are trimmed that it does not stand for;
 * - before a replica begins anew behind a head that was trimmed elsewhere, with what the other replica knows.
 *
 * A replica without the file was written by a version that takes no batches of producers: where its records have none either, it
 * starts with nothing, at the end of what is ordered. Of the keys of records up to there nothing is known then, and the same where a version wrote the file
 * that knows no keys.
 */
export class ProducerFile {
  readonly table: ProducerTable;
  readonly keys: KeyTable;
  private readonly file: StateFile<Uint8Array>;
  private readonly records: SegmentedLog;
  /** What of the table is in the file. */
  private saved = { llsn: 0, revision: 0 };

  private constructor(limits: ProducerLimits, file: StateFile<Uint8Array>, records: SegmentedLog) {
    this.table = new ProducerTable(limits);
    this.keys = new KeyTable(limits.keys);
    this.file = file;
    this.records = records;
  }

  /** Rejects with `DISK_FULL` where there is no room for the first file, `CORRUPT` when it or the records are damaged. */
  static async open(
    disk: Disk,
    path: string,
    label: string,
    sources: ProducerSources,
    limits: ProducerLimits,
  ): Promise<ProducerFile> {
    const file = await StateFile.open(disk, path, label, FORMAT);
    const producers = new ProducerFile(limits, file, sources.records);
    if (file.value === undefined) {
      await refuseLost(disk.pathOf(path), sources.records);
      await producers.takeOver(undefined, sources.committedEnd);
    } else producers.adopt(wire.ProducerTable.decode(file.value));
    await noteRecords(producers, sources);
    return producers;
  }

  /** Takes note of what a batch that was stored at LLSN `llsn` says of itself. */
  note(batch: Batch, llsn: number, timestamp: number): void {
    const { count } = batch;
    const producer = producerOf(batch);
    if (producer !== undefined) this.table.note({ ...producer, count, llsn, timestamp });
    for (const [index, key] of keysOf(batch) ?? []) this.keys.note(keyHash(key), llsn + index);
  }

  /** The records `llsn`… are ordered. */
  ordered(commit: { llsn: number; glsn: number; count: number }): void {
    this.table.ordered(commit);
    this.keys.ordered(commit.llsn + commit.count - 1);
  }

  /** The records after LLSN `end` were cut off. */
  cut(end: number): void {
    this.table.cut(end);
    this.keys.cut(end);
  }

  /**
   * Writes down and takes over what was known where a message was made. Without one, of the records up to `llsn` nothing is
   * known. Rejects with `DISK_FULL`: nothing has changed.
   */
  async takeOver(message: wire.ProducerTable | undefined, llsn: number): Promise<void> {
    const nothing = { llsn, floor: 0, producers: [] };
    const known = message ?? toMessage(nothing, keysUnknownUpTo(llsn));
    await this.file.write(wire.ProducerTable.encode(known));
    this.adopt(known);
  }

  private adopt(message: wire.ProducerTable): void {
    this.table.adopt(message);
    this.keys.adopt(keysOfMessage(message));
    this.saved = { llsn: this.table.llsn, revision: this.revision };
  }

  /** As it goes to another replica. */
  toMessage(): wire.ProducerTable {
    return toMessage(this.table.snapshot(), this.keys.snapshot());
  }

  /** Writes it when more would have to be read at the next opening than should be. */
  async keepUp(): Promise<void> {
    if (this.saved.llsn + 1 >= this.records.newestSegment) return;
    try {
      await this.save();
    } catch (error) {
      // It is as good to write it later.
      if (!VarlogError.is(error, 'DISK_FULL')) throw error;
    }
  }

  /** Whether the records below `first` are needed only because of what the file does not say. */
  isNeededBelow(first: number): boolean {
    return this.saved.revision !== this.revision && this.saved.llsn + 1 < first;
  }

  /** The first record that the file does not stand for. */
  get firstUnsaved(): number {
    return this.saved.llsn + 1;
  }

  /** Writes the table as it is now. Rejects with `DISK_FULL`: the file is as before. */
  async save(): Promise<void> {
    const { revision } = this;
    const { llsn } = this.table;
    await this.file.write(wire.ProducerTable.encode(this.toMessage()));
    this.saved = { llsn, revision };
  }

  private get revision(): number {
    return this.table.revision + this.keys.revision;
  }
}

/** Throws `CORRUPT` where a file was there once: it is made before the first batch of a producer is taken. */
async function refuseLost(path: string, records: SegmentedLog): Promise<void> {
  for (let next = records.first; next <= records.end; ) {
    for (const frame of await records.read(next, SCAN_BYTES)) {
      const { count, payload: bytes } = frame;
      next = frameEnd(frame) + 1;
      if (producerOf({ count, bytes }) === undefined) continue;
      throw new VarlogError('CORRUPT', {
        what: `${path} is missing, and there are records of producers`,
        because:
          'the file was deleted, or a copy of the folder is not complete: what is stored would be taken once more',
        next: 'rebuild this replica from another one',
        details: { path },
      });
    }
  }
}

/** Has the tables follow from the records after those that they follow from already. */
async function noteRecords(
  producers: ProducerFile,
  { records, commits, committedEnd }: ProducerSources,
): Promise<void> {
  const { table } = producers;
  for (let next = Math.max(table.llsn + 1, records.first); next <= records.end; ) {
    for (const frame of await records.read(next, SCAN_BYTES)) {
      const { position: llsn, count, timestamp = 0, payload } = frame;
      producers.note({ count, bytes: payload }, llsn, timestamp);
      next = frameEnd(frame) + 1;
    }
  }
  for (let it = table.firstWaiting; it !== undefined; it = table.firstWaiting) {
    const commit = it.llsn > committedEnd ? undefined : await commits.findByLlsn(it.llsn);
    if (commit === undefined) break;
    table.ordered(commit);
  }
  if (commits.last !== undefined) producers.ordered(commits.last);
}

/** It stays bytes: of many replicas, all that is in it would be much for the garbage collector to go through. */
const FORMAT: ValueFormat<Uint8Array> = {
  encode: (bytes) => bytes,
  decode: (bytes) => {
    wire.ProducerTable.decode(bytes);
    return bytes;
  },
};

function toMessage(
  { llsn, floor, producers }: ProducerSnapshot,
  { floor: keyFloor, keys }: KeySnapshot,
): wire.ProducerTable {
  return wire.ProducerTable.create({
    llsn,
    floor,
    producers: producers.map(({ batches, ...it }) =>
      wire.ProducerState.create({ ...it, batches: batches.map(wire.ProducerBatch.create) }),
    ),
    keys: wire.KeyTable.create({
      floor: keyFloor,
      hashes: keys.map((it) => it.hash),
      versions: keys.map((it) => it.version),
    }),
  });
}

function keysOfMessage({ llsn, keys }: wire.ProducerTable): KeySnapshot {
  if (keys === null) return keysUnknownUpTo(llsn);
  const { floor, hashes, versions } = keys;
  return { llsn, floor, keys: hashes.map((hash, i) => ({ hash, version: versions[i]! })) };
}
