import * as snpb from '../../wire/gen/snpb.ts';
import * as varlogpb from '../../wire/gen/varlogpb.ts';
import type { LogStreamState, Metadata } from '../core/index.ts';

/** What can be told of a replica whose node does not answer: that it is not known to be sealed. */
export function silentReplica(
  { storageNodes }: Metadata,
  { id, topicId }: LogStreamState,
  storageNodeId: number,
): snpb.LogStreamReplicaMetadataDescriptor {
  const address = storageNodes.get(storageNodeId)?.address ?? '';
  return snpb.LogStreamReplicaMetadataDescriptor.create({
    logStreamReplica: varlogpb.LogStreamReplica.create({
      storageNode: varlogpb.StorageNode.create({ storageNodeId, address }),
      topicLogStream: varlogpb.TopicLogStream.create({ topicId, logStreamId: id }),
    }),
    status: varlogpb.LogStreamStatus.LS_STATUS_SEALING,
  });
}
