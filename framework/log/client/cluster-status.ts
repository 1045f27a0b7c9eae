import type { LogStreamId, MemberId, StorageNodeId, TopicId } from '../../base/index.ts';
import type { HealthResponse } from '../../wire/gen/log.ts';

/** The cluster on one screen. */
export interface ClusterStatus {
  /** Which cluster this is, of all that were ever made. */
  readonly cluster: string;
  /** The number by which people call it. */
  readonly clusterId: number;
  /** The metadata repository's leader, where there is one. */
  readonly leader?: MemberId;
  readonly members: readonly MemberStatus[];
  readonly storageNodes: readonly StorageNodeStatus[];
  readonly topics: readonly TopicStatus[];
}

export interface MemberStatus {
  readonly id: MemberId;
  readonly address: string;
  /** `up`, or the code of the error with which it answers: `UNREACHABLE`, `TIMEOUT`, `DISK_LOST` … */
  readonly state: string;
}

export interface StorageNodeStatus {
  readonly id: StorageNodeId;
  readonly address: string;
  /** Identity of its disk; empty until it has connected once. */
  readonly disk: string;
  /** Whether the leader hears from it. */
  readonly alive: boolean;
}

export interface TopicStatus {
  readonly id: TopicId;
  readonly logStreams: readonly LogStreamStatus[];
}

export interface LogStreamStatus {
  readonly id: LogStreamId;
  /** Only an open one takes appends; both kinds can be read. */
  readonly state: 'open' | 'sealed';
  /** Whether an operator sealed it, and must open it. */
  readonly held: boolean;
  readonly epoch: number;
  /** Members of the epoch first, the primary first of all. */
  readonly replicas: readonly ReplicaStatus[];
  /** Replicas that count for acknowledgements, of those that should. Fewer: it is being repaired, or waits for a node. */
  readonly inSync: number;
}

export interface ReplicaStatus {
  readonly node: StorageNodeId;
  /** Whether it counts for acknowledgements. */
  readonly member: boolean;
  /** What it says of itself, or `unreachable`; `unknown` while the leader has not heard of it. */
  readonly state: string;
  /** Records that are ordered and that it does not have on its disk. */
  readonly behind: number;
}

/** The parts of a status that only the leader knows. */
export function describeStatus({
  storageNodes,
  logStreams,
}: HealthResponse): Pick<ClusterStatus, 'storageNodes' | 'topics'> {
  const topics = new Map<TopicId, LogStreamStatus[]>();
  for (const { topicId, logStreamId: id, sealed, held, epoch, end, replicas } of logStreams) {
    const described = replicas.map((it) => ({
      node: it.storageNodeId,
      member: it.member,
      state: it.state,
      behind: Math.max(0, end - it.end),
    }));
    const inSync = described.filter((it) => it.member && it.state === (sealed ? 'sealed' : 'open'));
    const state = sealed ? 'sealed' : 'open';
    const own = topics.get(topicId) ?? [];
    topics.set(topicId, own);
    own.push({ id, state, held, epoch, replicas: described, inSync: inSync.length });
  }
  return {
    storageNodes: storageNodes.map(({ storageNodeId: id, address, disk, connected: alive }) => ({
      id,
      address,
      disk,
      alive,
    })),
    topics: [...topics].map(([id, streams]) => ({ id, logStreams: streams })),
  };
}
