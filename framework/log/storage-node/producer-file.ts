import { type Disk, producerOf, VarlogError } from '../../base/index.ts';
import { frameEnd, type SegmentedLog, StateFile, type ValueFormat } from '../../store/index.ts';
import * as wire from '../../wire/gen/log.ts';
import { type ProducerLimits, type ProducerSnapshot, ProducerTable } from '../core/index.ts';
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
 * What a replica knows of producers, and a file that holds it as it was at some LLSN. What came after that is found in
 * the records when the replica is opened. So the file is written anew
 *
 * - when a segment of records was begun behind it: no more has to be read than the newest segment, or about that;
 * - before records are trimmed that it does not stand for;
 * - before a replica begins anew behind a head that was trimmed elsewhere, with what the other replica knows.
 *
 * A replica without the file was written by a version that takes no batches of producers: it starts with nothing, at
 * the end of what is ordered.
 */
export class ProducerFile {
  readonly table: ProducerTable;
  private readonly file: StateFile<Uint8Array>;
  private readonly records: SegmentedLog;
  /** What of the table is in the file. */
  private saved = { llsn: 0, revision: 0 };

  private constructor(table: ProducerTable, file: StateFile<Uint8Array>, records: SegmentedLog) {
    this.table = table;
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
    const table = new ProducerTable(limits);
    const file = await StateFile.open(disk, path, label, FORMAT);
    const producers = new ProducerFile(table, file, sources.records);
    if (file.value === undefined) {
      table.adopt({ llsn: sources.committedEnd, floor: 0, producers: [] });
      await producers.save();
    } else {
      table.adopt(decode(file.value));
      producers.saved = { llsn: table.llsn, revision: table.revision };
    }
    await noteRecords(table, sources);
    return producers;
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
    return this.saved.revision !== this.table.revision && this.saved.llsn + 1 < first;
  }

  /** The first record that the file does not stand for. */
  get firstUnsaved(): number {
    return this.saved.llsn + 1;
  }

  /** Writes the table as it is now. Rejects with `DISK_FULL`: the file is as before. */
  async save(): Promise<void> {
    const { llsn, revision } = this.table;
    await this.file.write(wire.ProducerTable.encode(toMessage(this.table.snapshot())));
    this.saved = { llsn, revision };
  }
}

/** Has the table follow from the records after those that it follows from already. */
async function noteRecords(
  table: ProducerTable,
  { records, commits, committedEnd }: ProducerSources,
): Promise<void> {
  for (let next = Math.max(table.llsn + 1, records.first); next <= records.end; ) {
    for (const frame of await records.read(next, SCAN_BYTES)) {
      const { position: llsn, count, timestamp = 0, payload } = frame;
      const producer = producerOf({ count, bytes: payload });
      if (producer !== undefined) table.note({ ...producer, count, llsn, timestamp });
      next = frameEnd(frame) + 1;
    }
  }
  for (let it = table.firstWaiting; it !== undefined; it = table.firstWaiting) {
    const commit = it.llsn > committedEnd ? undefined : await commits.findByLlsn(it.llsn);
    if (commit === undefined) break;
    table.ordered(commit);
  }
  if (commits.last !== undefined) table.ordered(commits.last);
}

/** It stays bytes: of many replicas, all that is in it would be much for the garbage collector to go through. */
const FORMAT: ValueFormat<Uint8Array> = {
  encode: (bytes) => bytes,
  decode: (bytes) => {
    decode(bytes);
    return bytes;
  },
};

function decode(bytes: Uint8Array): ProducerSnapshot {
  return ofMessage(wire.ProducerTable.decode(bytes));
}

/** As it goes to another replica. */
export function toMessage({ llsn, floor, producers }: ProducerSnapshot): wire.ProducerTable {
  return wire.ProducerTable.create({
    llsn,
    floor,
    producers: producers.map(({ batches, ...it }) =>
      wire.ProducerState.create({ ...it, batches: batches.map(wire.ProducerBatch.create) }),
    ),
  });
}

/** What {@link toMessage} made. */
export function ofMessage({ llsn, floor, producers }: wire.ProducerTable): ProducerSnapshot {
  return { llsn, floor, producers };
}
