import { type Handler, handler, type Ports } from '../../base/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import {
  atLeader,
  describeLogStream,
  describeTopic,
  type MetadataRepository,
} from '../metadata-repository/index.ts';
import { ascending, checkIds, checkPositions } from '../published-ids.ts';
import { logStreamHandlers } from './log-stream-calls.ts';
import { memberHandlers } from './member-calls.ts';
import { nothing } from './refusals.ts';
import { storageNodeHandlers } from './storage-node-calls.ts';

/** The service that Varlog publishes for administration, served by every member. */
export function clusterManagerHandlers(
  repository: MetadataRepository,
  ports: Ports,
  replicationFactor: number,
): Handler[] {
  return [
    ...storageNodeHandlers(repository, ports),
    ...topicHandlers(repository),
    ...logStreamHandlers(repository, ports, replicationFactor),
    ...memberHandlers(repository),
  ];
}

const service = admpb.ClusterManager;

function topicHandlers(repository: MetadataRepository): Handler[] {
  const topicOf = async (id: number) => {
    checkIds({ topic: id });
    const topic = await repository.read((it) => describeTopic(it, id));
    if (topic === undefined) throw nothing('TOPIC_NOT_FOUND', 'topic', id);
    return topic;
  };
  return [
    handler(service.GetTopic, async ({ topicId }) =>
      admpb.GetTopicResponse.create({ topic: await topicOf(topicId) }),
    ),
    handler(service.DescribeTopic, async ({ topicId }) => {
      const topic = await topicOf(topicId);
      const logStreams = topic.logStreams.map((id) => describeLogStream(repository.metadata, id)!);
      return admpb.DescribeTopicResponse.create({ topic, logStreams });
    }),
    handler(service.ListTopics, async () =>
      admpb.ListTopicsResponse.create({
        topics: await repository.read((it) =>
          ascending(it.topics.keys()).map((id) => describeTopic(it, id)!),
        ),
      }),
    ),
    handler(service.AddTopic, async ({ acknowledgeAll }) => {
      const acknowledge = acknowledgeAll ? 'all' : 'majority';
      const id = await repository.execute({ kind: 'registerTopic', id: 0, acknowledge });
      return admpb.AddTopicResponse.create({ topic: await topicOf(id) });
    }),
    handler(service.UnregisterTopic, async ({ topicId: id }) => {
      checkIds({ topic: id });
      await repository.execute({ kind: 'unregisterTopic', id });
      return admpb.UnregisterTopicResponse.create({});
    }),
    atLeader(repository, service.Trim, async ({ topicId, lastGlsn }) => {
      checkIds({ topic: topicId });
      checkPositions({ GLSN: lastGlsn });
      await repository.execute({ kind: 'trim', topicId, glsn: lastGlsn });
      return admpb.TrimResponse.create({ results: trimResults(repository, topicId) });
    }),
  ];
}

/** One for each replica of a topic that was trimmed: those that are down have not done it yet. */
function trimResults(
  { metadata, orderer }: MetadataRepository,
  topicId: number,
): admpb.TrimResult[] {
  const logStreams = metadata.topics.get(topicId)?.logStreams ?? [];
  return logStreams.flatMap((logStreamId) =>
    metadata.logStreams.get(logStreamId)!.replicas.map((storageNodeId) => {
      const isUp = orderer?.isUp(storageNodeId) === true;
      const error = isUp ? '' : `storage node ${storageNodeId} is down: it trims once it is back`;
      return admpb.TrimResult.create({ storageNodeId, logStreamId, error });
    }),
  );
}
