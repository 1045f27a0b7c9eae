import type { LogStreamId, MemberId, StorageNodeId, TopicId } from '../../base/index.ts';
import type { HealthResponse } from '../../wire/gen/log.ts';
import type { Retention } from '../core/index.ts';
import { retentionOfWire } from '../retention-codec.ts';
import type { NodeAnswers } from './node-probe.ts';

/** The cluster on one screen. */
export interface ClusterStatus {
  /** Which cluster this is, of all that were ever made. */
  readonly cluster: string;
  /** The number by which people call it. */
  readonly clusterId: number;
  /** What all members of the metadata repository know: commands that came later are refused until it rises. */
  readonly featureLevel: number;
  /** The metadata repository's leader, where there is one. */
  readonly leader?: MemberId;
  readonly members: readonly MemberStatus[];
  readonly storageNodes: readonly StorageNodeStatus[];
  readonly topics: readonly TopicStatus[];
}

export interface MemberStatus {
  readonly id: MemberId;
  readonly address: string;
  /** Whether it counts for majorities. One that does not only receives the log: mostly because it is being added. */
  readonly votes: boolean;
  /** `up`, or the code of the error with which it answers: `UNREACHABLE`, `TIMEOUT`, `DISK_LOST` … */
  readonly state: string;
  /** What is wrong with it, in words, although it may be up: its disk is full, for example. */
  readonly trouble?: string;
  /** At the leader: what it is doing about the members, in words: adding member 4, which has 12 of 80 entries, for example. */
  readonly change?: string;
  /** The highest feature level that its version knows; `undefined` when it does not answer. */
  readonly supportedLevel?: number;
}

export interface StorageNodeStatus {
  readonly id: StorageNodeId;
  readonly address: string;
  /** Identity of its disk; empty until it has connected once. */
  readonly disk: string;
  /** Whether the leader hears from it. */
  readonly alive: boolean;
  /** Log streams that it has a replica of, and those of them that it is the primary of. */
  readonly replicas: number;
  readonly primaries: number;
  /** Bytes of all its replicas on its disk, as of a few seconds ago; unknown while the leader has not heard of each. */
  readonly bytes?: number;
  /** Its replicas are being moved away, or all are: then it may be removed. */
  readonly drain?: 'draining' | 'drained';
  /** Why its drain does not get on, in words; the first few reasons. */
  readonly waits: readonly string[];
  /** The longest that a write of its disk took in the last half minute; unknown when it did not answer. */
  readonly slowestWriteMs?: number;
  /** Why the metadata repository does not take it for the node that it says it is. */
  readonly refusal?: string;
  /**
   * Why it did not answer this client at its address, although the leader hears from it, or something else answers there.
   */
  readonly unreached?: string;
}

export interface TopicStatus {
  readonly id: TopicId;
  readonly logStreams: readonly LogStreamStatus[];
  /** How much of it is kept; without limits, all. */
  readonly retention: Retention;
}

export interface LogStreamStatus {
  readonly id: LogStreamId;
  /** Only an open one takes appends; both kinds can be read. */
  readonly state: 'open' | 'sealed';
  /** Whether an operator sealed it, and must open it. */
  readonly sealedByOperator: boolean;
  readonly epoch: number;
  /** Members of the epoch first, the primary first of all. */
  readonly replicas: readonly LogStreamReplicaStatus[];
  /** Replicas that count for acknowledgements, of those that should. Fewer: it is being repaired, or waits for a node. */
  readonly inSync: number;
  /** How many replicas it is to have. It has fewer while there are too few storage nodes, and more while it is moved. */
  readonly replicationFactor: number;
}

export interface LogStreamReplicaStatus {
  readonly node: StorageNodeId;
  /** Whether it counts for acknowledgements. */
  readonly member: boolean;
  /** It is being made, on a storage node that did not have it; or goes, as soon as all others are members. */
  readonly move?: 'joins' | 'leaves';
  /** What it says of itself, or `unreachable`; `unknown` while the leader has not heard of it. */
  readonly state: string;
  /** LLSN of its last durable record, and of the last one that is ordered: how far it is, and is to get. */
  readonly end: number;
  readonly target: number;
  /** Bytes of it on the disk, as of a few seconds ago; unknown while the leader has not heard of it. */
  readonly bytes?: number;
  /** Records that are ordered and that it does not have on its disk. */
  readonly behind: number;
  /** There is no room on its disk: it takes no appends until there is. */
  readonly full: boolean;
  /** Why it serves nothing. */
  readonly failure?: string;
}

/** The parts of a status that the leader knows, with what storage nodes say of themselves. */
export function describeStatus(
  { storageNodes, logStreams, topicIds, retentions }: HealthResponse,
  { said, silent, displaced }: NodeAnswers,
): Pick<ClusterStatus, 'storageNodes' | 'topics'> {
  const topics = new Map<TopicId, LogStreamStatus[]>(topicIds.map((id) => [id, []]));
  const reports = new Map(
    [...said].flatMap(([node, { logStreamReplicas }]) =>
      logStreamReplicas.map((it) => [
        `${node}/${it.logStreamReplica?.topicLogStream?.logStreamId}`,
        it,
      ]),
    ),
  );
  for (const {
    topicId,
    logStreamId: id,
    sealed,
    sealedByOperator,
    epoch,
    end,
    replicas,
    replicationFactor,
    joining,
    leaving,
  } of logStreams) {
    const described = replicas.map((it) => {
      const own = reports.get(`${it.storageNodeId}/${id}`);
      const isRebuilt = it.state === 'learning' && own?.state === 'rebuilding';
      return {
        node: it.storageNodeId,
        member: it.member,
        ...(joining.includes(it.storageNodeId) && { move: 'joins' as const }),
        ...(leaving.includes(it.storageNodeId) && { move: 'leaves' as const }),
        state: isRebuilt ? 'rebuilding' : it.state,
        end: it.end,
        target: end,
        ...(it.bytes !== null && { bytes: it.bytes }),
        behind: Math.max(0, end - it.end),
        full: own?.full ?? false,
        ...(own !== undefined && own.failure !== '' && { failure: own.failure }),
      };
    });
    const inSync = described.filter((it) => it.member && it.state === (sealed ? 'sealed' : 'open'));
    const state = sealed ? 'sealed' : 'open';
    const own = topics.get(topicId) ?? [];
    topics.set(topicId, own);
    const common = { id, state, sealedByOperator, epoch, replicationFactor } as const;
    own.push({ ...common, replicas: described, inSync: inSync.length });
  }
  return {
    storageNodes: storageNodes.map((node) => {
      const { storageNodeId: id, address, disk, connected: alive, draining, waits } = node;
      const { slowestWriteMs, refusal = '' } = said.get(id) ?? {};
      const unreached = displaced.get(id) ?? (alive ? silent.get(id) : undefined);
      const has = logStreams.filter((it) => it.replicas.some((one) => one.storageNodeId === id));
      const leads = has.filter((it) => it.replicas[0]!.storageNodeId === id);
      const own = has.flatMap((it) => it.replicas.filter((one) => one.storageNodeId === id));
      const bytes = sumOf(own.map((it) => it.bytes));
      const drain = has.length === 0 ? 'drained' : 'draining';
      return {
        id,
        address,
        disk,
        alive,
        replicas: has.length,
        primaries: leads.length,
        ...(bytes !== undefined && { bytes }),
        ...(draining && { drain }),
        waits,
        ...(slowestWriteMs !== undefined && { slowestWriteMs }),
        ...(refusal !== '' && { refusal }),
        ...(unreached !== undefined && { unreached }),
      };
    }),
    topics: [...topics].map(([id, streams]) => {
      const limits = retentions.find(({ topicId }) => topicId === id);
      const retention = limits === undefined ? {} : retentionOfWire(limits);
      return { id, logStreams: streams, retention };
    }),
  };
}

/** `undefined` where some of it is not known. */
function sumOf(numbers: readonly (number | null)[]): number | undefined {
  return numbers.includes(null) ? undefined : numbers.reduce<number>((sum, it) => sum + it!, 0);
}
