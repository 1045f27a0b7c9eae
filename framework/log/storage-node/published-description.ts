import * as snpb from '../../wire/gen/snpb.ts';
import {
  LogSequenceNumber,
  TopicLogStream,
  LogStreamReplica as WireReplica,
  StorageNode as WireStorageNode,
} from '../../wire/gen/varlogpb.ts';
import type { LocalReplicaStatus } from './node-status.ts';
import type { LogStreamReplica } from './replica.ts';
import type { ServedNode } from './served-node.ts';
import { trimmedGlsn } from './trim.ts';

/** What the published calls tell of a replica; of one that failed, only what it is and why. */
export async function describeReplica(
  node: ServedNode,
  { topicId, logStreamId, state, failure, end, target, full }: LocalReplicaStatus,
): Promise<snpb.LogStreamReplicaMetadataDescriptor> {
  const replica = failure === undefined ? node.replicas.get(logStreamId) : undefined;
  return snpb.LogStreamReplicaMetadataDescriptor.create({
    logStreamReplica: WireReplica.create({
      storageNode: self(node),
      topicLogStream: TopicLogStream.create({ topicId, logStreamId }),
    }),
    status: state === 'open' ? 0 : state === 'sealed' ? 2 : 1,
    ...(replica !== undefined && (await extentOf(replica))),
    state,
    failure: failure ?? '',
    end,
    target,
    full,
  });
}

/** Version and watermarks. */
async function extentOf(
  replica: LogStreamReplica,
): Promise<Partial<snpb.LogStreamReplicaMetadataDescriptor>> {
  const { version, committedEnd } = replica.core;
  const { commits } = replica.storage;
  const { last } = commits;
  const { first: firstLlsn } = replica.source;
  const first = await replica.reading(() => commits.findByLlsn(firstLlsn));
  const extent = { version, globalHighWatermark: replica.watermark };
  const sequence = (llsn: number, glsn: number): LogSequenceNumber =>
    LogSequenceNumber.create({ llsn, glsn });
  if (committedEnd < firstLlsn || first === undefined || last === undefined) {
    const none = sequence(0, 0);
    return { ...extent, localLowWatermark: none, localHighWatermark: none };
  }
  const low = Math.max(trimmedGlsn(replica) + 1, first.glsn + (firstLlsn - first.llsn));
  return {
    ...extent,
    localLowWatermark: sequence(firstLlsn, low),
    localHighWatermark: sequence(committedEnd, last.glsn + last.count - 1),
  };
}

export function self(node: ServedNode): WireStorageNode {
  const { storageNodeId, address } = node;
  return WireStorageNode.create({ storageNodeId, address });
}
