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

/** The metadata in the published form. Members come before learners, the primary first. */
export function describeMetadata(metadata: Metadata, appliedIndex: number): MetadataDescriptor {
  return MetadataDescriptor.create({
    appliedIndex,
    storageNodes: [...metadata.storageNodes.values()].map(({ id, address }) =>
      StorageNodeDescriptor.create({
        storageNode: StorageNode.create({ storageNodeId: id, address }),
      }),
    ),
    topics: [...metadata.topics.keys()].map((id) => describeTopic(metadata, id)!),
    logStreams: [...metadata.logStreams.keys()].map((id) => describeLogStream(metadata, id)!),
  });
}

export function describeTopic(metadata: Metadata, id: number): TopicDescriptor | undefined {
  const topic = metadata.topics.get(id);
  if (topic === undefined) return undefined;
  return TopicDescriptor.create({ topicId: id, logStreams: [...topic.logStreams] });
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
