import type { VarlogError } from '../../base/index.ts';
import type { Report } from '../core/index.ts';
import type { LogStreamReplica } from './replica.ts';

const UNFIT = new Set(['failed', 'damaged', 'rebuilding']);

/** What a replica looks like from outside. */
export interface LocalReplicaStatus {
  topicId: number;
  logStreamId: number;
  /** As it is reported to the metadata repository; `rebuilding`: a member that learns what it has lost. */
  state: string;
  role: 'primary' | 'backup' | 'learner';
  primary: boolean;
  epoch: number;
  end: number;
  durableEnd: number;
  committed: number;
  /** How far it is to get, as far as is known: its log stream's last record that was ordered. */
  target: number;
  /** Bytes of its records and commits on the disk. */
  bytes: number;
  /** Whether the metadata repository has said what it is for, since the process started. */
  assigned: boolean;
  /** There is no room on its disk: it takes no appends until there is. */
  full: boolean;
  /** Why it serves nothing. */
  failure?: string;
}

/** What a storage node looks like from outside. */
export interface NodeStatus {
  /** Whether the leader of the metadata repository has accepted it. */
  connected: boolean;
  /** Why the metadata repository does not take it for the node that it says it is. */
  refusal: VarlogError | undefined;
  /** The longest that a write or sync took in the last half minute, also one that is not done. */
  slowestWriteMs: number;
  replicas: LocalReplicaStatus[];
  /** Replicas that were taken away or put aside, and are kept. */
  readonly trashed: number;
}

export function statusOf(replica: LogStreamReplica): LocalReplicaStatus {
  const { topicId, logStreamId, core, failure, assignment } = replica;
  const isMember = assignment?.members.some((it) => it.storageNodeId === core.node) === true;
  const isLearning = core.state === 'learning';
  return {
    topicId,
    logStreamId,
    state: isLearning && isMember ? 'rebuilding' : core.state,
    role: core.isPrimary ? 'primary' : isLearning ? 'learner' : 'backup',
    primary: core.isPrimary,
    epoch: core.epoch,
    end: core.end,
    durableEnd: core.durableEnd,
    committed: core.committedEnd,
    target: Math.max(core.committedEnd, assignment?.end ?? 0),
    bytes: replica.storage.bytes,
    assigned: core.assigned,
    full: replica.storage.full !== undefined,
    ...(failure !== undefined && { failure: failure.message }),
  };
}

/** What the metadata repository is told of a replica that could not be opened. */
export function brokenReport(
  logStreamId: number,
  epoch: number,
  error: VarlogError | undefined,
): Report {
  const state = error?.code === 'CORRUPT' ? 'damaged' : 'failed';
  return { logStreamId, epoch, end: 0, persistedVersion: 0, state };
}

/** The same, for people. */
export function brokenStatus(
  topicId: number,
  logStreamId: number,
  error: VarlogError,
): LocalReplicaStatus {
  return {
    topicId,
    logStreamId,
    state: error.code === 'CORRUPT' ? 'damaged' : 'failed',
    role: 'backup',
    primary: false,
    epoch: 0,
    end: 0,
    durableEnd: 0,
    committed: 0,
    target: 0,
    bytes: 0,
    assigned: topicId !== 0,
    full: error.code === 'DISK_FULL',
    failure: error.message,
  };
}

/** What keeps replicas from serving, for people. `isTold`: the node knows what its replicas are for. */
export function shortcomings(replicas: readonly LocalReplicaStatus[], isTold: boolean): string[] {
  const unfit = replicas.filter(
    (it) => it.failure !== undefined || (isTold && UNFIT.has(it.state)),
  );
  return [
    ...replicas
      .filter((it) => it.full)
      .map(
        ({ logStreamId: id }) =>
          `the disk is full, or a limit of files is reached: log stream ${id} takes no appends here`,
      ),
    ...unfit.map((it) => {
      const why =
        it.failure ??
        `it lacks some of what it had, and has ${it.committed} of ${it.target} records by now`;
      return `the replica of log stream ${it.logStreamId} is ${it.state}: ${why}`;
    }),
  ];
}

/** Says so when no replica is of any use any more. One that waits for room on the disk is. */
export function allFailed(failures: readonly (VarlogError | undefined)[]): string | undefined {
  const [first] = failures;
  if (first === undefined) return undefined;
  if (failures.some((it) => it === undefined || it.code === 'DISK_FULL')) return undefined;
  return `all ${failures.length} replicas of this storage node failed: ${first.message}`;
}
