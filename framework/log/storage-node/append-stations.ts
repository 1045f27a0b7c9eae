import { AppendTimes, type CutTimes } from '../../wire/gen/log.ts';
import type { Commit } from '../core/index.ts';
import { StationHistograms } from '../station-histograms.ts';
import { TimeLeft } from '../time-left.ts';

/** A commit as it comes from the leader, which tells a primary how long the cut took. */
export type TimedCommit = Commit & { readonly times?: CutTimes | null };

/** A write to this node's disk, by its clock in milliseconds. */
export interface WriteTime {
  /** LLSN of the last record that is durable by it. */
  readonly end: number;
  readonly begunAt: number;
  readonly doneAt: number;
}

/** A commit on its way to its primary. */
export interface CommitTime {
  /** When it came, by the primary's clock. */
  readonly cameAt: number;
  /** Between the primary and the metadata repository, there and back. */
  readonly wireMs: number;
  /** `undefined`: the leader has not told, because it is not the one whose cut it was, or of an older version. */
  readonly cut: CutTimes | undefined;
  /** Whether other replicas may have been waited for. */
  readonly isReplicated: boolean;
}

/** How long an append was where on its way, in milliseconds, until its commit came: what it waited for, and for nothing twice. */
export interface AppendStations {
  readonly primaryQueue: number;
  readonly disk: number;
  readonly replicas: number;
  readonly repositoryWire: number;
  readonly cut: number;
  readonly raft: number;
  readonly other: number;
}

export const STORAGE_STATIONS = ['primary_queue', 'disk', 'replicas', 'repository_wire'] as const;

/** How long appends are at the stations that a storage node knows of. */
export type StorageHistograms = StationHistograms<(typeof STORAGE_STATIONS)[number]>;

export function storageHistograms(): StorageHistograms {
  return new StationHistograms(STORAGE_STATIONS);
}

/**
 * Shares out the time from `arrivedAt` until the commit came. `write`: the one that made the batch durable here;
 * `undefined` while there is none. Backups write beside the primary: where the cut was proposed before the leader could
 * have heard of the primary's own write, that was not waited for, and the replicas were.
 */
export function stationsOf(
  arrivedAt: number,
  write: WriteTime | undefined,
  { cameAt, wireMs, cut, isReplicated }: CommitTime,
): AppendStations {
  const left = new TimeLeft(cameAt - arrivedAt);
  const raft = left.take((cut?.raft ?? 0) / 1_000);
  const repositoryWire = left.take(wireMs);
  // Half of the wire, because that is measured and not exact: what is in doubt was waited for.
  const heardBy = cameAt - raft - repositoryWire / 2;
  const wasAwaited = write !== undefined && (!isReplicated || write.doneAt <= heardBy);
  const own = wasAwaited ? write : undefined;
  const primaryQueue = left.take(own === undefined ? 0 : own.begunAt - arrivedAt);
  const disk = left.take(own === undefined ? 0 : own.doneAt - Math.max(arrivedAt, own.begunAt));
  const waited = left.take((cut?.heldBack ?? 0) / 1_000);
  const { rest } = left;
  const byReplicas = cut !== undefined && isReplicated;
  const shares = { primaryQueue, disk, repositoryWire, cut: waited, raft };
  return byReplicas
    ? { ...shares, replicas: rest, other: 0 }
    : { ...shares, replicas: 0, other: rest };
}

/** What the oldest batch of a commit says of all. */
export function observeStations(histograms: StorageHistograms, stations: AppendStations): void {
  histograms.observe('primary_queue', stations.primaryQueue);
  histograms.observe('disk', stations.disk);
  histograms.observe('replicas', stations.replicas);
  histograms.observe('repository_wire', stations.repositoryWire);
}

/** As it travels. What passes from the commit until the answer leaves is added then. */
export function timesToWire(stations: AppendStations): AppendTimes {
  return AppendTimes.create({
    primaryQueue: microseconds(stations.primaryQueue),
    disk: microseconds(stations.disk),
    replicas: microseconds(stations.replicas),
    repositoryWire: microseconds(stations.repositoryWire),
    cut: microseconds(stations.cut),
    raft: microseconds(stations.raft),
    other: microseconds(stations.other),
  });
}

const MICROSECONDS_MAX = 2 ** 32 - 1;

/** Whole microseconds, never more than it was. */
export function microseconds(ms: number): number {
  return Math.min(MICROSECONDS_MAX, Math.max(0, Math.floor(ms * 1_000)));
}
