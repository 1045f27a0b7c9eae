import type { Clock, Disk, VarlogError } from '../base/index.ts';
import { type Frame, type Journal, SegmentedLog, StateFile } from '../store/index.ts';
import { type EntryBatch, type HardState, sliceBatch } from './core/index.ts';
import { decodeHardState, encodeHardState } from './stored-values.ts';

/** Entries as frames: a log of files of its own, or one in a journal that groups share. */
export type EntryLog = Pick<
  SegmentedLog,
  | 'first'
  | 'end'
  | 'durableEnd'
  | 'pendingBytes'
  | 'full'
  | 'onDurable'
  | 'append'
  | 'flushed'
  | 'read'
  | 'truncateTail'
  | 'trimHead'
  | 'reset'
  | 'close'
>;

/** The hard state, replaced as a whole. */
export interface HardStateFile {
  readonly value: HardState;
  write(value: HardState): Promise<void>;
}

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
    return withHardState(log, log, `the journal, ${label}`);
  }
  const path = `${directory}/hard-state`;
  const file = await StateFile.open(disk, path, options.label, (it) => decodeHardState(it, path));
  const files = { disk, clock, directory: `${directory}/entries`, label, onFailure };
  return withHardState(await SegmentedLog.open(files), file, path);
}

async function withHardState(
  log: EntryLog,
  file: Pick<StateFile, 'value' | 'write'>,
  path: string,
): Promise<StoredEntries> {
  try {
    let value: HardState = { term: 0, vote: 0 };
    if (file.value === undefined) await file.write(encodeHardState(value));
    else value = decodeHardState(file.value, path);
    const hardStateFile: HardStateFile = {
      get value() {
        return value;
      },
      async write(next) {
        await file.write(encodeHardState(next));
        value = next;
      },
    };
    return { log, hardStateFile };
  } catch (error) {
    await log.close();
    throw error;
  }
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
