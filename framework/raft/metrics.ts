import type { DurationCounts } from '../base/index.ts';
import type { RaftDriver } from './driver.ts';
import type { Proposals } from './proposals.ts';
import type { RaftStorage } from './storage.ts';

/** How a leader sees one other member. */
export interface MemberMetrics {
  readonly id: number;
  /** It has everything up to here on disk. */
  readonly match: number;
  /** `probe`: looking for where the logs agree; `replicate`: entries flow; `snapshot`: it gets one. */
  readonly mode: 'probe' | 'replicate' | 'snapshot';
  /** Sent to it, and not acknowledged. */
  readonly inflightBytes: number;
}

/** A member's load, as of now, and what it has been through since it was opened. */
export interface RaftMetrics {
  /** Appends that wait to be proposed or passed on. */
  readonly queuedBytes: number;
  /** Written, and not on disk yet. */
  readonly unsyncedBytes: number;
  /** How long the disk took for each sync; on a host, for those of all its groups. */
  readonly syncs: DurationCounts;
  /** At the leader: the other members. Elsewhere empty. */
  readonly members: readonly MemberMetrics[];
  /** Campaigns that this member began, pre-votes not counted. */
  readonly campaigns: number;
  /** How often another leader was found than the one before. */
  readonly leaderChanges: number;
  /** Position and bytes of the newest snapshot in its folder, 0 for none. */
  readonly snapshotIndex: number;
  readonly snapshotBytes: number;
  /** Snapshots of other members that replaced this one's log. */
  readonly snapshotsInstalled: number;
  /** Snapshots that could not be kept; the entries stay until the next one. */
  readonly compactionsFailed: number;
  /** The disk is full, or does not get on with a write. A leader then hands over. */
  readonly diskTrouble: 'full' | 'stalled' | undefined;
  /** Why this member does not lead any more: see {@link RaftGroup.resign}. */
  readonly resigned: string | undefined;
}

export function metricsOf(
  driver: RaftDriver,
  storage: RaftStorage,
  proposals: Proposals,
): RaftMetrics {
  const { leadership, id: self } = driver.raft;
  const members = [...(leadership?.progress ?? [])]
    .filter(([id]) => id !== self)
    .map(([id, { match, mode, inflights }]) => ({
      id,
      match,
      mode,
      inflightBytes: inflights.bytes,
    }));
  const { queuedBytes } = proposals;
  return {
    queuedBytes,
    unsyncedBytes: storage.pendingBytes,
    syncs: storage.syncs.counts,
    members,
    campaigns: driver.elections.campaigns,
    leaderChanges: driver.elections.leaderChanges,
    compactionsFailed: driver.compactionsFailed,
    snapshotIndex: storage.snapshot?.index ?? 0,
    snapshotBytes: storage.snapshot?.size ?? 0,
    snapshotsInstalled: driver.snapshots.installed,
    diskTrouble: driver.handover.trouble,
    resigned: driver.handover.resigned,
  };
}
