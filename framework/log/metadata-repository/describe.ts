import {
  LogStreamDescriptor,
  LogStreamStatus,
  MetadataDescriptor,
  ReplicaDescriptor,
  StorageNode,
  StorageNodeDescriptor,
  TopicDescriptor,
} from '../../wire/gen/varlogpb.ts';
import type { Metadata } from '../core/index.ts';
import { ascending } from '../published-ids.ts';

/** The metadata in the published form, all by ascending ids. Members of a log stream come before learners, the primary first. */
export function describeMetadata(metadata: Metadata, appliedIndex: number): MetadataDescriptor {
  return MetadataDescriptor.create({
    appliedIndex,
    storageNodes: ascending(metadata.storageNodes.keys()).map((storageNodeId) => {
      const { address } = metadata.storageNodes.get(storageNodeId)!;
      const storageNode = StorageNode.create({ storageNodeId, address });
      return StorageNodeDescriptor.create({ storageNode });
    }),
    topics: ascending(metadata.topics.keys()).map((id) => describeTopic(metadata, id)!),
    logStreams: ascending(metadata.logStreams.keys()).map((id) => describeLogStream(metadata, id)!),
  });
}

export function describeTopic(metadata: Metadata, id: number): TopicDescriptor | undefined {
  const topic = metadata.topics.get(id);
  if (topic === undefined) return undefined;
  return TopicDescriptor.create({ topicId: id, logStreams: ascending(topic.logStreams) });
}

export function describeLogStream(metadata: Metadata, id: number): LogStreamDescriptor | undefined {
  const logStream = metadata.logStreams.get(id);
  if (logStream === undefined) return undefined;
  const { members, replicas } = logStream;
  const ordered = [...members, ...replicas.filter((it) => !members.includes(it))];
  return LogStreamDescriptor.create({
    topicId: logStream.topicId,
    logStreamId: id,
    status: logStream.sealed ? LogStreamStatus.LS_STATUS_SEALED : LogStreamStatus.LS_STATUS_RUNNING,
    replicas: ordered.map((storageNodeId) => ReplicaDescriptor.create({ storageNodeId })),
  });
}
