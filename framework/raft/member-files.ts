import { type Disk, type ErrorCode, VarlogError } from '../base/index.ts';
import { Journal, SegmentedLog, StateFile } from '../store/index.ts';
import type { HardState } from './core/index.ts';
import { type DiskFacts, diskFactsIn } from './disk-identity.ts';
import { JOURNAL } from './host-folder.ts';
import type { MemberFolder } from './member-folder.ts';
import { SnapshotReader } from './snapshot-file.ts';
import { hardStateFormat, type Snapshot } from './stored-values.ts';

/** What is wrong with a file, and where. */
export interface Damage {
  readonly code: ErrorCode;
  readonly path: string;
  /** The byte at which it shows; `undefined` where that cannot be told. */
  readonly offset: number | undefined;
  readonly message: string;
}

/** The files of a member that is only looked at. What cannot be read is `undefined`, and told in `damage`. */
export interface MemberFiles {
  readonly identity: DiskFacts | undefined;
  readonly hardState: HardState | undefined;
  readonly snapshot: Snapshot | undefined;
  readonly log: Pick<SegmentedLog, 'first' | 'end' | 'read'> | undefined;
  readonly damage: Damage[];
  /** Runs something, and notes what it finds damaged. */
  readonly noting: <T>(run: () => Promise<T>) => Promise<T | undefined>;
  close(): Promise<void>;
}

const KINDS = ['CORRUPT', 'FORMAT_UNKNOWN', 'IDENTITY_MISMATCH'] as const;

/** Opens them on a disk that is only read. Rejects with what is not damage. */
export async function openMemberFiles(disk: Disk, place: MemberFolder): Promise<MemberFiles> {
  const { directory, label, host } = place;
  const damage: Damage[] = [];
  const noting: MemberFiles['noting'] = async (run) => {
    try {
      return await run();
    } catch (error) {
      if (!VarlogError.is(error) || !KINDS.some((it) => it === error.code)) throw error;
      const { path = disk.pathOf(directory), offset } = error.details as {
        path?: string;
        offset?: number;
      };
      damage.push({ code: error.code, path, offset, message: error.message });
      return undefined;
    }
  };
  const identity = await noting(() => diskFactsIn(disk, directory, label));
  const snapshot = await noting(() => snapshotIn(disk, directory, label));
  const stored = await (host === undefined
    ? ownEntries(disk, place, noting)
    : noting(() => hostedEntries(disk, host, label)));
  const { hardState, log, close = async () => {} } = stored ?? {};
  return { identity, hardState, snapshot, log, damage, noting, close };
}

interface Stored extends Pick<MemberFiles, 'hardState' | 'log'> {
  close?(): Promise<void>;
}

async function ownEntries(
  disk: Disk,
  { directory, label }: MemberFolder,
  noting: MemberFiles['noting'],
): Promise<Stored> {
  const path = `${directory}/hard-state`;
  const file = await noting(() => StateFile.open(disk, path, label, hardStateFormat));
  const entries = { disk, directory: `${directory}/entries`, label: `${label} entries` };
  const log = await noting(() => SegmentedLog.open(entries));
  return { hardState: file?.value, log, close: async () => log?.close() };
}

async function hostedEntries(disk: Disk, host: string, label: string): Promise<Stored> {
  const directory = `${host}/${JOURNAL}`;
  const journal = await Journal.open({ disk, directory, label: 'journal of a raft host' });
  const close = (): Promise<void> => journal.close();
  const name = `${label} entries`;
  if (!journal.labels.includes(name)) return { hardState: undefined, log: undefined, close };
  const log = await journal.open(name);
  const value = log.value && hardStateFormat.decode(log.value, disk.pathOf(directory));
  return { hardState: value, log, close };
}

async function snapshotIn(
  disk: Disk,
  directory: string,
  label: string,
): Promise<Snapshot | undefined> {
  const place = { disk, path: `${directory}/snapshot`, label };
  const reader = await SnapshotReader.open(place, { check: true });
  await reader?.close();
  return reader?.snapshot;
}
