import { type Clock, type Disk, SerialQueue, type VarlogError, Waiter } from '../../base/index.ts';
import { type CacheBudget, jsonFormat, SegmentedLog, StateFile } from '../../store/index.ts';
import { type ProducerLimits, WaitingParts } from '../core/index.ts';
import { AppendTime } from './append-time.ts';
import { CommitTable } from './commit-table.ts';
import { noteWaitingParts } from './note-waiting-parts.ts';
import { ProducerFile } from './producer-file.ts';

/** Records kept in memory for readers and backups at the tail. */
const TAIL_CACHE_BYTES = 16 * 1024 * 1024;

/** What a replica must know before it reads its logs. */
export interface StoredReplicaState {
  topicId: number;
  /** The configuration that it has taken over; 0: none. */
  epoch: number;
  sealed: boolean;
  /** Records up to this GLSN are removed. */
  trimmedGlsn: number;
}

/** The files of one replica: its records, its commits and its state. */
export interface ReplicaStorage {
  readonly records: SegmentedLog;
  readonly commits: CommitTable;
  readonly state: StoredReplicaState;
  /** What is known of producers. */
  readonly producers: ProducerFile;
  /** Parts of atomic appends beyond what is ordered. */
  readonly parts: WaitingParts;
  /** Gives the batches that are appended their timestamps. */
  readonly time: AppendTime;
  /** Bytes of its records and commits on the disk: about as many as another replica has to copy. */
  readonly bytes: number;
  /** While the disk has no room: what to refuse appends with. All that was taken waits for room. */
  readonly full: VarlogError | undefined;
  /**
   * Changes part of the state, durably; changes happen one after the other. Rejects with `DISK_FULL`,
   * nothing changed, when there is no room.
   */
  save(change: Partial<StoredReplicaState>): Promise<void>;
  /** Makes the commits durable; resolves with false when there is no room. */
  flushCommits(): Promise<boolean>;
  /** Forgets the commits below `version`, which are durable; resolves with false when there is no room to note that. */
  trimCommits(version: number): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * Opens what is there, or makes it. `onFailure` hears when the disk has failed for good, `onFull` when
 * it has no room, and when it has again.
 */
export async function openReplicaStorage(options: {
  disk: Disk;
  clock: Clock;
  directory: string;
  /** The cluster and the disk, as every file names them. */
  owner: string;
  topicId: number;
  logStreamId: number;
  segmentBytes: number;
  cacheBudget: CacheBudget;
  producerLimits: ProducerLimits;
  onFailure: (error: VarlogError) => void;
  onFull: (error: VarlogError | undefined) => void;
}): Promise<ReplicaStorage> {
  const { disk, clock, directory, owner, logStreamId, onFailure } = options;
  const label = (part: string): string => `${owner} log stream ${logStreamId} ${part}`;
  const path = `${directory}/state`;
  const format = jsonFormat<StoredReplicaState>();
  const file = await StateFile.open(disk, path, label('state'), format);
  if (file.value === undefined) await disk.makeDirectory(directory);
  const fresh: StoredReplicaState = {
    topicId: options.topicId,
    epoch: 0,
    sealed: false,
    trimmedGlsn: 0,
  };
  // It is written with the first epoch: until then the node opens this replica only when it is told of what topic it is.
  const stateNow = (): StoredReplicaState => file.value ?? fresh;
  /** What is done with commits, which may take as long as the disk is full. */
  const waiting = new Set<Waiter<boolean>>();
  const onFull = (): void => {
    const { full } = storage;
    if (full !== undefined) for (const it of waiting) it.resolve(false);
    options.onFull(full);
  };
  /** Whether it was done; not while the disk is full, also one that fills up meanwhile. */
  const unlessFull = async (work: () => Promise<void>): Promise<boolean> => {
    if (storage.full !== undefined) return false;
    const done: Waiter<boolean> = new Waiter(undefined, () => waiting.delete(done));
    waiting.add(done);
    work().then(
      () => done.resolve(true),
      (error: unknown) => done.reject(error),
    );
    return done.promise;
  };
  const records = await SegmentedLog.open({
    disk,
    clock,
    directory: `${directory}/records`,
    label: label('records'),
    segmentBytes: options.segmentBytes,
    tailCacheBytes: TAIL_CACHE_BYTES,
    cacheBudget: options.cacheBudget,
    onFailure,
    onFull,
  });
  const { commits, time, producers, parts } = await openRest(records, {
    disk,
    clock,
    directory: `${directory}/commits`,
    label: label('commits'),
    logStreamId,
    onFailure,
    onFull,
    producers: {
      path: `${directory}/producers`,
      label: label('producers'),
      limits: options.producerLimits,
    },
  });
  const changes = new SerialQueue();
  const storage: ReplicaStorage = {
    records,
    commits,
    time,
    producers,
    parts,
    get state() {
      return stateNow();
    },
    get bytes() {
      return records.bytes + commits.bytes;
    },
    get full() {
      return records.full ?? commits.full;
    },
    flushCommits: () => unlessFull(() => commits.flush()),
    trimCommits: (version) => unlessFull(() => commits.trim(version)),
    save: (change) => changes.run(() => file.write({ ...stateNow(), ...change })),
    close: async () => {
      await records.close();
      await commits.close();
    },
  };
  return storage;
}

/** Opens what goes with these records. When it cannot be used, nothing stays open: another try may follow. */
async function openRest(
  records: SegmentedLog,
  {
    producers: { path, label, limits },
    ...options
  }: Parameters<typeof CommitTable.open>[0] & {
    clock: Clock;
    producers: { path: string; label: string; limits: ProducerLimits };
  },
): Promise<Pick<ReplicaStorage, 'commits' | 'time' | 'producers' | 'parts'>> {
  let commits: CommitTable | undefined;
  try {
    commits = await CommitTable.open(options);
    await cutDanglingCommits(records, commits);
    const committedEnd = committedEndOf(records, commits);
    const sources = { records, commits, committedEnd };
    const producers = await ProducerFile.open(options.disk, path, label, sources, limits);
    const parts = new WaitingParts();
    await noteWaitingParts(parts, records, committedEnd);
    return { commits, time: await AppendTime.behind(records, options.clock), producers, parts };
  } catch (error) {
    await commits?.close();
    await records.close();
    throw error;
  }
}

/** Where the records end that are known to be ordered. What was trimmed was. */
export function committedEndOf(records: SegmentedLog, { last }: CommitTable): number {
  return Math.max(records.first, last === undefined ? 1 : last.llsn + last.count) - 1;
}

/**
 * A commit may have reached the disk before its records did, because the other replicas had them.
 * Such commits are asked for again once the records are here.
 */
async function cutDanglingCommits(records: SegmentedLog, commits: CommitTable): Promise<void> {
  for (let last = commits.last; last !== undefined; last = commits.last) {
    if (last.llsn + last.count - 1 <= records.end) return;
    if (last.version === commits.firstVersion) return commits.reset(last.version);
    const { version: keep = last.version } = (await commits.findByLlsn(records.end + 1)) ?? last;
    await commits.truncate(Math.max(keep, commits.firstVersion + 1) - 1);
  }
}
