import { Assignment, Peer } from '../../wire/gen/log.ts';
import type { LogStreamState, Metadata } from '../core/index.ts';

/** What storage node `node` is to hear of a log stream, of which it may have no replica any more. */
export function assignmentFor(metadata: Metadata, id: number, node: number): Assignment {
  const logStream = metadata.logStreams.get(id);
  if (logStream?.replicas.includes(node) === true) return assignmentOf(metadata, logStream);
  return Assignment.create({ logStreamId: id, removed: true });
}

/** What the replicas of a log stream are to hear of it. */
export function assignmentOf(metadata: Metadata, logStream: LogStreamState): Assignment {
  const topic = metadata.topics.get(logStream.topicId)!;
  const peer = (node: number): Peer =>
    Peer.create({
      storageNodeId: node,
      address: metadata.storageNodes.get(node)?.address ?? '',
    });
  return Assignment.create({
    topicId: topic.id,
    logStreamId: logStream.id,
    epoch: logStream.epoch,
    sealed: logStream.sealed,
    end: logStream.end,
    version: logStream.version,
    members: logStream.members.map(peer),
    primaryProcess: logStream.primaryProcess,
    learners: logStream.replicas.filter((it) => !logStream.members.includes(it)).map(peer),
    trimmedGlsn: topic.trimmed,
    highWatermark: topic.highWatermark,
    fence: logStream.fence,
  });
}
