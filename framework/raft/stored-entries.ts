import { type Clock, type Disk, VarlogError } from '../base/index.ts';
import {
  type Frame,
  type Journal,
  type JournalLog,
  SegmentedLog,
  StateFile,
} from '../store/index.ts';
import { type EntryBatch, type HardState, sliceBatch } from './core/index.ts';
import { DiskIdentity } from './disk-identity.ts';
import { hardStateFormat, REPLACE_MEMBER } from './stored-values.ts';

/** Entries as frames: a log of files of its own, or one in a journal that groups share. */
export type EntryLog = Pick<
  SegmentedLog,
  | 'first'
  | 'end'
  | 'durableEnd'
  | 'pendingBytes'
  | 'full'
  | 'filled'
  | 'onDurable'
  | 'append'
  | 'flushed'
  | 'read'
  | 'truncateTail'
  | 'trimHead'
  | 'reset'
  | 'close'
>;

/** The hard state, replaced as a whole; there is one once the entries are open. */
export type HardStateFile = Pick<StateFile<HardState>, 'value' | 'write'>;

interface StoredEntries {
  readonly log: EntryLog;
  readonly hardStateFile: HardStateFile;
}

/**
 * Entries and hard state, which become durable together in a journal. Rejects with `CORRUPT` also where a folder has
 * been a member's, and its hard state is gone or older than its entries.
 */
export async function openEntries(options: {
  disk: Disk;
  clock: Clock;
  directory: string;
  label: string;
  onFailure: (error: VarlogError) => void;
  /** Where they are kept. Default: in files of their own. */
  journal?: Journal | undefined;
}): Promise<StoredEntries> {
  const { disk, clock, directory, onFailure, journal } = options;
  const label = `${options.label} entries`;
  if (journal !== undefined) {
    const log = await journal.open(label, onFailure);
    return begun(options, log, () => inJournal(log, `the journal, ${label}`));
  }
  const file = await StateFile.open(
    disk,
    `${directory}/hard-state`,
    options.label,
    hardStateFormat,
    REPLACE_MEMBER,
  );
  const remedy = REPLACE_MEMBER;
  const files = { disk, clock, directory: `${directory}/entries`, label, remedy, onFailure };
  return begun(options, await SegmentedLog.open(files), () => file);
}

/** A new member has voted for nobody. */
async function begun(
  { disk, directory }: { disk: Disk; directory: string },
  log: EntryLog,
  fileOf: () => HardStateFile,
): Promise<StoredEntries> {
  try {
    const hardStateFile = fileOf();
    const known = hardStateFile.value;
    if (known === undefined) {
      // It is written before the folder says whose it is, so it cannot be missing in one that does.
      const wasUsed = log.end > 0 || (await DiskIdentity.existsIn(directory, disk));
      if (wasUsed) throw withoutVote(disk.pathOf(directory), 'has no hard state');
      await hardStateFile.write({ term: 0, vote: 0 });
    } else if (log.end >= log.first) {
      // The hard state of a term is durable before the first of its entries.
      const [last] = await log.read(log.end, 1);
      const { epoch } = last!;
      const older = `has a hard state of term ${known.term} and entries of term ${epoch}`;
      if (epoch > known.term) throw withoutVote(disk.pathOf(directory), older);
    }
    return { log, hardStateFile };
  } catch (error) {
    await log.close();
    throw error;
  }
}

/** It might vote a second time in a term, and so have two leaders in it. */
function withoutVote(directory: string, what: string): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `${directory} ${what}, so how its member voted is forgotten`,
    because: 'a file was deleted, or the folder was put together from copies of different times',
    next: REPLACE_MEMBER,
    details: { path: directory },
  });
}

/** The value of a log in a journal, as a hard state. */
function inJournal(log: JournalLog, path: string): HardStateFile {
  let value = log.value === undefined ? undefined : hardStateFormat.decode(log.value, path);
  return {
    get value() {
      return value;
    },
    async write(next) {
      await log.write(hardStateFormat.encode(next));
      value = next;
    },
  };
}

export function toFrame({ index, count, term, payload }: EntryBatch): Frame {
  return { position: index, count, epoch: term, payload };
}

/** The batches in frames; of the first one what lies before `from` is cut off. */
export function toBatches(frames: readonly Frame[], from: number): EntryBatch[] {
  const batches = frames.map(({ position, count, epoch, payload }) => ({
    index: position,
    count,
    term: epoch,
    payload,
  }));
  if (batches[0] !== undefined) batches[0] = sliceBatch(batches[0], from);
  return batches;
}
