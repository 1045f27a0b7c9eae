import type { VarlogError } from '../../base/index.ts';
import type { LogStreamReplica } from './replica.ts';

/** What a replica looks like from outside. */
export interface ReplicaStatus {
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
  /** There is no room on its disk: it takes no appends until there is. */
  full: boolean;
  /** Why it serves nothing. */
  failure?: string;
}

export function statusOf(replica: LogStreamReplica): ReplicaStatus {
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
    full: replica.storage.full !== undefined,
    ...(failure !== undefined && { failure: failure.message }),
  };
}

/** Of a replica that could not be opened. */
export function brokenStatus(
  topicId: number,
  logStreamId: number,
  error: VarlogError,
): ReplicaStatus {
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
    full: error.code === 'DISK_FULL',
    failure: error.message,
  };
}
