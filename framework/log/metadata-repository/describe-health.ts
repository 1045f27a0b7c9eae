import {
  HealthResponse,
  LogStreamHealth,
  ReplicaHealth,
  StorageNodeHealth,
  TopicRetention,
} from '../../wire/gen/log.ts';
import {
  isLimited,
  type LogStreamState,
  type Metadata,
  type PlacementView,
  whyStays,
} from '../core/index.ts';
import { retentionToWire } from '../retention-codec.ts';
import type { Orderer } from './orderer.ts';
import { placementView } from './placement-view.ts';

/** So many reasons why a drain does not get on are named: they are mostly the same. */
const WAITS_MAX = 3;

/** How storage nodes and replicas are, by what the leader has heard. */
export function describeHealth(metadata: Metadata, orderer: Orderer): HealthResponse {
  const view = placementView(metadata, orderer);
  const alive = (node: number): boolean => orderer.isUp(node);
  return HealthResponse.create({
    topicIds: [...metadata.topics.keys()],
    retentions: [...metadata.topics.values()]
      .filter(({ retention }) => isLimited(retention))
      .map(({ id, retention }) =>
        TopicRetention.create({ topicId: id, ...retentionToWire(retention) }),
      ),
    storageNodes: [...metadata.storageNodes.values()].map(({ id, address, disk, draining }) =>
      StorageNodeHealth.create({
        storageNodeId: id,
        address,
        disk,
        connected: alive(id),
        supportedLevel: orderer.supportedLevelOf(id),
        draining,
        waits: draining ? waitsOf(id, view) : [],
      }),
    ),
    logStreams: [...metadata.logStreams.values()].map((stream) =>
      LogStreamHealth.create({
        topicId: stream.topicId,
        logStreamId: stream.id,
        epoch: stream.epoch,
        sealed: stream.sealed,
        sealedByOperator: stream.sealedByOperator,
        end: stream.end,
        replicationFactor: stream.replicationFactor,
        joining: stream.joining,
        leaving: stream.leaving,
        replicas: placement(stream).map((node) => {
          const report = orderer.planner.reportOf(stream.id, node);
          return ReplicaHealth.create({
            storageNodeId: node,
            member: stream.members.includes(node),
            state: alive(node) ? (report?.state ?? 'unknown') : 'unreachable',
            end: report?.end ?? 0,
            bytes: orderer.bytesOf(stream.id, node) ?? null,
          });
        }),
      }),
    ),
  });
}

/** What keeps replicas on a node that is drained. */
function waitsOf(node: number, view: PlacementView): string[] {
  const waits: string[] = [];
  for (const stream of view.metadata.logStreams.values()) {
    if (waits.length === WAITS_MAX) break;
    const why = stream.replicas.includes(node) ? whyStays(stream, node, view) : undefined;
    if (why !== undefined) waits.push(why);
  }
  return waits;
}

function placement({ members, replicas }: LogStreamState): number[] {
  return [...members, ...replicas.filter((it) => !members.includes(it))];
}
