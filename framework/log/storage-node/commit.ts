import { observeStations, type TimedCommit } from './append-stations.ts';
import type { LogStreamReplica } from './replica.ts';

/**
 * Takes commits of this log stream, in the order of their versions.
 *
 * - They MAY come twice, early, or not at all: the inbox sees to what is missing.
 * - Whatever becomes of them here, they exist: the watermark MUST wait for them.
 */
export function commitAll(replica: LogStreamReplica, commits: readonly TimedCommit[]): void {
  const newest = commits.at(-1);
  if (newest !== undefined) replica.inbox.observe(newest.version);
  if (replica.failure !== undefined || replica.restarting) return;
  const { state } = replica.core;
  replica.inbox.take(commits);
  if (replica.core.state !== state) replica.host.reportChanged(replica);
  replica.settleWatermark();
}

/** Takes commits whose records have come in the meantime. */
export function retryCommits(replica: LogStreamReplica): void {
  replica.inbox.retry();
  replica.settleWatermark();
}

/** The core has taken a commit: who waits for these records is answered, and may read them. */
export function applied(replica: LogStreamReplica, commit: TimedCommit): void {
  replica.storage.commits.append(commit);
  if (!replica.closed) replica.flush.later();
  replica.storage.producers.ordered(commit);
  const end = commit.llsn + commit.count - 1;
  replica.storage.parts.ordered(end);
  const { host, pending } = replica;
  const first = pending.committed(commit.llsn, commit.glsn, end, {
    cameAt: host.ports.clock.now(),
    wireMs: host.repositoryWireMs,
    cut: commit.times ?? undefined,
    isReplicated: replica.peers.length > 0,
  });
  if (first !== undefined) observeStations(host.stations, first);
  replica.wakeReaders();
  if (replica.assignment?.sealed === true) replica.advance();
}

/** Gets the commits that are missing from another replica. False: it follows nobody. */
export function fetchFromReplica(replica: LogStreamReplica): boolean {
  // The first of its epoch follows nobody.
  const isFirst = replica.assignment?.members[0]?.storageNodeId === replica.host.storageNodeId;
  if (replica.peers.length === 0 || isFirst) return false;
  replica.following.round++;
  replica.advance();
  return true;
}
