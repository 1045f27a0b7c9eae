import { type FolderFacts, reasonOf } from '../../base/index.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import {
  LogSequenceNumber,
  LogStreamStatus,
  StorageDescriptor,
  TopicLogStream,
  LogStreamReplica as WireReplica,
  StorageNode as WireStorageNode,
} from '../../wire/gen/varlogpb.ts';
import { publishedTime } from '../published-time.ts';
import type { LocalReplicaStatus } from './node-status.ts';
import type { LogStreamReplica } from './replica.ts';
import type { ServedNode } from './served-node.ts';

/** What the published calls tell of a node and all that is on it. */
export async function describeNode(node: ServedNode): Promise<snpb.StorageNodeMetadataDescriptor> {
  const { status } = node;
  const facts = await node.knownFolders.inspect([
    node.directory,
    ...status.replicas.map((it) => replicaFolder(node, it.logStreamId)),
  ]);
  const own = facts.get(node.directory);
  const replicas = [...status.replicas].sort((a, b) => a.logStreamId - b.logStreamId);
  return snpb.StorageNodeMetadataDescriptor.create({
    clusterId: node.clusterId,
    storageNode: self(node),
    storages: own === undefined ? [] : [storageOf(own)],
    startTime: publishedTime(node.startedAt),
    createTime: publishedTime(own?.madeAt ?? 0),
    slowestWriteMs: Math.round(status.slowestWriteMs),
    refusal: status.refusal?.message ?? '',
    logStreamReplicas: await Promise.all(
      replicas.map((it) =>
        describeReplica(node, it, facts.get(replicaFolder(node, it.logStreamId))),
      ),
    ),
  });
}

function storageOf({ path, usedBytes, totalBytes }: FolderFacts): StorageDescriptor {
  return StorageDescriptor.create({ path, used: usedBytes, total: totalBytes });
}

function replicaFolder({ directory }: ServedNode, logStreamId: number): string {
  return `${directory}/replicas/${logStreamId}`;
}

/** The same of one replica alone. */
export async function describeReplicaAlone(
  node: ServedNode,
  status: LocalReplicaStatus,
): Promise<snpb.LogStreamReplicaMetadataDescriptor> {
  const folder = replicaFolder(node, status.logStreamId);
  const facts = await node.knownFolders.inspect([folder]);
  return describeReplica(node, status, facts.get(folder));
}

function publishedStatus(state: string): LogStreamStatus {
  if (state === 'open') return LogStreamStatus.LS_STATUS_RUNNING;
  return state === 'sealed' ? LogStreamStatus.LS_STATUS_SEALED : LogStreamStatus.LS_STATUS_SEALING;
}

/** What the published calls tell of a replica; of one that failed, only what it is and why. */
async function describeReplica(
  node: ServedNode,
  { topicId, logStreamId, state, failure, end, target, full }: LocalReplicaStatus,
  facts: FolderFacts | undefined,
): Promise<snpb.LogStreamReplicaMetadataDescriptor> {
  const replica = failure === undefined ? node.replicas.get(logStreamId) : undefined;
  // What of one replica cannot be read is told of that one, and the others are described all the same.
  const extent = await (replica && extentOf(replica).catch(unreadable));
  return snpb.LogStreamReplicaMetadataDescriptor.create({
    logStreamReplica: WireReplica.create({
      storageNode: self(node),
      topicLogStream: TopicLogStream.create({ topicId, logStreamId }),
    }),
    status: publishedStatus(state),
    path: facts?.path ?? '',
    storageSizeBytes: facts?.bytes ?? 0,
    createdTime: publishedTime(facts?.madeAt ?? 0),
    state,
    failure: failure ?? '',
    end,
    target,
    full,
    ...extent,
  });
}

function unreadable(error: unknown): Partial<snpb.LogStreamReplicaMetadataDescriptor> {
  return { failure: reasonOf(error) };
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
  const low = Math.max(replica.head.trimmed + 1, first.glsn + (firstLlsn - first.llsn));
  return {
    ...extent,
    localLowWatermark: sequence(firstLlsn, low),
    localHighWatermark: sequence(committedEnd, last.glsn + last.count - 1),
  };
}

function self(node: ServedNode): WireStorageNode {
  const { storageNodeId, address } = node;
  return WireStorageNode.create({ storageNodeId, address });
}
