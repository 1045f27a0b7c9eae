import { type Handler, handler, type Ports, VarlogError } from '../../base/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import { MetadataRepositoryNode, StorageNode } from '../../wire/gen/varlogpb.ts';
import {
  atLeader,
  describeLogStream,
  describeTopic,
  type KnownMember,
  type MetadataRepository,
} from '../metadata-repository/index.ts';
import { place } from './placement.ts';

const NODE_CALL_TIMEOUT_MS = 2_000;

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

function storageNodeHandlers(repository: MetadataRepository, ports: Ports): Handler[] {
  const describe = (id: number, alive: ReadonlySet<number>): admpb.StorageNodeMetadata | null => {
    const node = repository.metadata.storageNodes.get(id);
    if (node === undefined) return null;
    const storageNode = StorageNode.create({ storageNodeId: id, address: node.address });
    return admpb.StorageNodeMetadata.create({
      storageNode: snpb.StorageNodeMetadataDescriptor.create({
        clusterId: repository.options.clusterId,
        storageNode,
      }),
      alive: alive.has(id),
    });
  };
  return [
    handler(service.GetStorageNode, async ({ storageNodeId }) => {
      const storageNode = describe(storageNodeId, await aliveNodes(repository, ports));
      if (storageNode === null) throw nothing('NOT_FOUND', 'storage node', storageNodeId);
      return admpb.GetStorageNodeResponse.create({ storageNode });
    }),
    handler(service.ListStorageNodes, async () => {
      const alive = await aliveNodes(repository, ports);
      const ids = [...repository.metadata.storageNodes.keys()];
      const storageNodes = ids.map((id) => describe(id, alive)!);
      return admpb.ListStorageNodesResponse.create({ storageNodes });
    }),
    handler(service.AddStorageNode, async ({ storageNode }) => {
      if (storageNode === null) throw missing('storage_node');
      const { storageNodeId: id, address } = storageNode;
      await checkNode(ports, repository.options.clusterId, id, address);
      await repository.execute({ kind: 'registerStorageNode', id, address });
      const added = describe(id, new Set([id]));
      return admpb.AddStorageNodeResponse.create({ storageNode: added });
    }),
    handler(service.UnregisterStorageNode, async ({ storageNodeId: id }) => {
      await repository.execute({ kind: 'unregisterStorageNode', id });
      return admpb.UnregisterStorageNodeResponse.create({});
    }),
  ];
}

/** Asks the node who it is, so that a wrong address is not registered. */
async function checkNode(
  ports: Ports,
  clusterId: number,
  id: number,
  address: string,
): Promise<void> {
  const channel = ports.network.connect(address);
  try {
    const request = snpb.GetMetadataRequest.create({ clusterId });
    const options = { timeoutMs: NODE_CALL_TIMEOUT_MS };
    const found = await channel.call(snpb.Management.GetMetadata, request, options);
    const actual = found.storageNodeMetadata?.storageNode?.storageNodeId;
    if (actual === id) return;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `the node at ${address} is storage node ${actual}, not ${id}`,
      next: 'check the id and the address',
    });
  } finally {
    channel.close();
  }
}

function topicHandlers(repository: MetadataRepository): Handler[] {
  const topicOf = async (id: number) => {
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
          [...it.topics.keys()].map((id) => describeTopic(it, id)!),
        ),
      }),
    ),
    handler(service.AddTopic, async ({ acknowledgeAll }) => {
      const acknowledge = acknowledgeAll ? 'all' : 'majority';
      const id = await repository.execute({ kind: 'registerTopic', id: 0, acknowledge });
      return admpb.AddTopicResponse.create({ topic: await topicOf(id) });
    }),
    handler(service.UnregisterTopic, async ({ topicId: id }) => {
      await repository.execute({ kind: 'unregisterTopic', id });
      return admpb.UnregisterTopicResponse.create({});
    }),
    handler(service.Trim, async ({ topicId, lastGlsn }) => {
      await repository.execute({ kind: 'trim', topicId, glsn: lastGlsn });
      return admpb.TrimResponse.create({});
    }),
  ];
}

function logStreamHandlers(
  repository: MetadataRepository,
  ports: Ports,
  replicationFactor: number,
): Handler[] {
  const logStreamOf = async (id: number) => {
    const logStream = await repository.read((it) => describeLogStream(it, id));
    if (logStream === undefined) throw nothing('LOG_STREAM_NOT_FOUND', 'log stream', id);
    return logStream;
  };
  return [
    handler(service.GetLogStream, async ({ logStreamId }) =>
      admpb.GetLogStreamResponse.create({ logStream: await logStreamOf(logStreamId) }),
    ),
    handler(service.ListLogStreams, async ({ topicId }) =>
      admpb.ListLogStreamsResponse.create({
        logStreams: await repository.read((metadata) => {
          const topic = metadata.topics.get(topicId);
          if (topic === undefined) throw nothing('TOPIC_NOT_FOUND', 'topic', topicId);
          return topic.logStreams.map((id) => describeLogStream(metadata, id)!);
        }),
      }),
    ),
    atLeader(
      repository,
      service.AddLogStream,
      async ({ topicId, replicas, replicationFactor: wanted }) => {
        const given = replicas.map((it) => it.storageNodeId);
        const factor = wanted === 0 ? replicationFactor : wanted;
        const nodes =
          given.length > 0
            ? given
            : place(repository.metadata, factor, await aliveNodes(repository, ports));
        const id = await repository.execute({
          kind: 'registerLogStream',
          id: 0,
          topicId,
          replicas: nodes,
        });
        await repository.changes.opened(id);
        return admpb.AddLogStreamResponse.create({ logStream: await logStreamOf(id) });
      },
    ),
    atLeader(repository, service.UpdateLogStream, async (request) => {
      const { logStreamId: id, poppedReplica, pushedReplica } = request;
      await repository.changes.setReplicas(id, (replicas) => {
        const rest = replicas.filter((it) => it !== poppedReplica?.storageNodeId);
        return pushedReplica === null ? rest : [...rest, pushedReplica.storageNodeId];
      });
      return admpb.UpdateLogStreamResponse.create({ logStream: await logStreamOf(id) });
    }),
    handler(service.UnregisterLogStream, async ({ logStreamId: id }) => {
      await repository.execute({ kind: 'unregisterLogStream', id });
      return admpb.UnregisterLogStreamResponse.create({});
    }),
    atLeader(repository, service.Seal, async ({ logStreamId }) =>
      admpb.SealResponse.create({ sealedGlsn: await repository.changes.seal(logStreamId, true) }),
    ),
    atLeader(repository, service.Unseal, async ({ logStreamId: id }) => {
      await repository.changes.release(id);
      return admpb.UnsealResponse.create({ logStream: await logStreamOf(id) });
    }),
  ];
}

/** Nodes that are up: by the leader's knowledge or, at another member, by asking them. */
async function aliveNodes(
  repository: MetadataRepository,
  ports: Ports,
): Promise<ReadonlySet<number>> {
  const nodes = await repository.read((it) => [...it.storageNodes.values()]);
  const { orderer } = repository;
  const isAlive = async ({ id, address }: { id: number; address: string }): Promise<boolean> => {
    if (orderer !== undefined) return orderer.unheardForMs(id) === 0;
    return checkNode(ports, repository.options.clusterId, id, address).then(
      () => true,
      () => false,
    );
  };
  const answers = await Promise.all(nodes.map(isAlive));
  return new Set(nodes.filter((_, i) => answers[i]).map((it) => it.id));
}

function memberHandlers(repository: MetadataRepository): Handler[] {
  const { replicationFactor } = repository.options;
  const describe = (member: KnownMember) =>
    MetadataRepositoryNode.create({
      nodeId: member.id,
      raftUrl: `http://${member.address}`,
      rpcAddr: member.address,
      leader: repository.status.leader?.id === member.id,
      learner: member.learner,
    });
  return [
    handler(service.GetMetadataRepositoryNode, async ({ nodeId }) => {
      const member = repository.members.find((it) => it.id === nodeId);
      if (member === undefined) throw nothing('NOT_FOUND', 'metadata repository member', nodeId);
      return admpb.GetMetadataRepositoryNodeResponse.create({ node: describe(member) });
    }),
    handler(service.ListMetadataRepositoryNodes, async () =>
      admpb.ListMetadataRepositoryNodesResponse.create({ nodes: repository.members.map(describe) }),
    ),
    handler(service.GetMRMembers, async () =>
      admpb.GetMRMembersResponse.create({
        leader: repository.status.leader?.id ?? 0,
        replicationFactor,
        members: Object.fromEntries(
          repository.members.map(({ id, address }) => [id, `http://${address}`]),
        ),
      }),
    ),
  ];
}

function nothing(
  code: 'NOT_FOUND' | 'TOPIC_NOT_FOUND' | 'LOG_STREAM_NOT_FOUND',
  kind: string,
  id: number,
): VarlogError {
  return new VarlogError(code, { what: `there is no ${kind} ${id}`, next: 'list which there are' });
}

function missing(field: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what: `${field} is missing`, next: `set ${field}` });
}
