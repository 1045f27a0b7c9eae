import {
  HealthResponse,
  LogStreamHealth,
  ReplicaHealth,
  StorageNodeHealth,
  TopicRetention,
} from '../../wire/gen/log.ts';
import { isLimited, type LogStreamState, type Metadata } from '../core/index.ts';
import { retentionToWire } from '../retention-codec.ts';
import type { Orderer } from './orderer.ts';

/** How storage nodes and replicas are, by what the leader has heard. */
export function describeHealth(metadata: Metadata, orderer: Orderer): HealthResponse {
  const alive = (node: number): boolean => orderer.isUp(node);
  return HealthResponse.create({
    topicIds: [...metadata.topics.keys()],
    retentions: [...metadata.topics.values()]
      .filter(({ retention }) => isLimited(retention))
      .map(({ id, retention }) =>
        TopicRetention.create({ topicId: id, ...retentionToWire(retention) }),
      ),
    storageNodes: [...metadata.storageNodes.values()].map(({ id, address, disk }) =>
      StorageNodeHealth.create({
        storageNodeId: id,
        address,
        disk,
        connected: alive(id),
        supportedLevel: orderer.supportedLevelOf(id),
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
        replicas: placement(stream).map((node) => {
          const report = orderer.planner.reportOf(stream.id, node);
          return ReplicaHealth.create({
            storageNodeId: node,
            member: stream.members.includes(node),
            state: alive(node) ? (report?.state ?? 'unknown') : 'unreachable',
            end: report?.end ?? 0,
          });
        }),
      }),
    ),
  });
}

function placement({ members, replicas }: LogStreamState): number[] {
  return [...members, ...replicas.filter((it) => !members.includes(it))];
}
