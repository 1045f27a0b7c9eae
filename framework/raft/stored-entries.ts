import type { Clock, Disk, VarlogError } from '../base/index.ts';
import {
  type Frame,
  type Journal,
  type JournalLog,
  SegmentedLog,
  StateFile,
} from '../store/index.ts';
import { type EntryBatch, type HardState, sliceBatch } from './core/index.ts';
import { hardStateFormat } from './stored-values.ts';

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

/** Entries and hard state, which become durable together in a journal. */
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
    return begun(log, () => inJournal(log, `the journal, ${label}`));
  }
  const file = await StateFile.open(
    disk,
    `${directory}/hard-state`,
    options.label,
    hardStateFormat,
  );
  const files = { disk, clock, directory: `${directory}/entries`, label, onFailure };
  return begun(await SegmentedLog.open(files), () => file);
}

/** A new member has voted for nobody. */
async function begun(log: EntryLog, fileOf: () => HardStateFile): Promise<StoredEntries> {
  try {
    const hardStateFile = fileOf();
    if (hardStateFile.value === undefined) await hardStateFile.write({ term: 0, vote: 0 });
    return { log, hardStateFile };
  } catch (error) {
    await log.close();
    throw error;
  }
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
