import { GrpcNetwork } from '../../runtime/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import * as mrpb from '../../wire/gen/mrpb.ts';
import { Empty } from '../../wire/gen/protobuf.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import * as varlogpb from '../../wire/gen/varlogpb.ts';
import { Cluster } from './cluster.fixture.ts';

const service = admpb.ClusterManager;
const repositoryService = mrpb.MetadataRepositoryService;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start();
}, 20_000);
afterAll(() => cluster.close());

const addTopic = async (): Promise<number> => {
  const { topic } = await cluster.ask(service.AddTopic, admpb.AddTopicRequest.create({}));
  return topic!.topicId;
};
const addLogStream = (topicId: number, ...nodes: number[]) =>
  cluster.ask(
    service.AddLogStream,
    admpb.AddLogStreamRequest.create({
      topicId,
      replicas: nodes.map((storageNodeId) => varlogpb.ReplicaDescriptor.create({ storageNodeId })),
    }),
  );

const seal = (topicId: number, logStreamId: number) =>
  cluster.ask(service.Seal, admpb.SealRequest.create({ topicId, logStreamId }));
/** Appends at the node that leads the log stream: node 1 in these tests. */
const append = async (topicId: number, logStreamId: number, ...texts: string[]): Promise<void> => {
  const node = new GrpcNetwork().connect(cluster.addresses[1]!);
  const stream = node.open(snpb.LogIO.Append);
  stream.receive(() => {});
  const payload = texts.map((it) => new TextEncoder().encode(it));
  stream.send(snpb.AppendRequest.create({ topicId, logStreamId, payload }));
  stream.end();
  await stream.closed;
  node.close();
};
/** Waits until node `node` says that it holds all of a sealed log stream. */
const reported = async (logStreamId: number, node: number): Promise<void> => {
  const { planner } = cluster.repository.orderer!;
  while (planner.reportOf(logStreamId, node)?.state !== 'sealed') {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

describe('the published ClusterManager', () => {
  test('makes topics and log streams, which are open then, and describes them', async () => {
    const topicId = await addTopic();
    const { logStream } = await addLogStream(topicId);
    expect(logStream!.replicas.map((it) => it.storageNodeId).sort()).toEqual([1, 2]);
    const described = await cluster.ask(
      service.DescribeTopic,
      admpb.DescribeTopicRequest.create({ topicId }),
    );
    expect(described.topic!.logStreams).toEqual([logStream!.logStreamId]);
    expect(described.logStreams[0]!.status).toBe(0);
    const { logStreams } = await cluster.ask(
      service.ListLogStreams,
      admpb.ListLogStreamsRequest.create({ topicId }),
    );
    expect(logStreams.map((it) => it.logStreamId)).toEqual(described.topic!.logStreams);
  });

  test('seals and unseals a log stream on demand, and answers when it takes appends', async () => {
    const topicId = await addTopic();
    const { logStream } = await addLogStream(topicId, 1, 2);
    const { logStreamId } = logStream!;
    const request = { topicId, logStreamId };
    const primary = () => cluster.nodes[1]!.replicas.get(logStreamId)!.core;
    expect(primary().isPrimary).toBe(true);
    const get = async (): Promise<number> => {
      const it = admpb.GetLogStreamRequest.create(request);
      return (await cluster.ask(service.GetLogStream, it)).logStream!.status;
    };
    for (let i = 0; i < 5; i++) {
      await seal(topicId, logStreamId);
      expect(await get()).not.toBe(0);
      await cluster.ask(service.Unseal, admpb.UnsealRequest.create(request));
      expect([await get(), primary().isPrimary]).toEqual([0, true]);
    }
  });

  test('moves a replica of a log stream that is sealed, and of no other', async () => {
    const topicId = await addTopic();
    const { logStream } = await addLogStream(topicId, 1);
    const { logStreamId } = logStream!;
    const update = async (change: { pushed?: number; popped?: number }): Promise<number[]> => {
      const replica = (storageNodeId: number | undefined) =>
        storageNodeId === undefined ? null : varlogpb.ReplicaDescriptor.create({ storageNodeId });
      const { logStream: after } = await cluster.ask(
        service.UpdateLogStream,
        admpb.UpdateLogStreamRequest.create({
          topicId,
          logStreamId,
          pushedReplica: replica(change.pushed),
          poppedReplica: replica(change.popped),
        }),
      );
      return after!.replicas.map((it) => it.storageNodeId);
    };
    await append(topicId, logStreamId, 'a');
    await expect(update({ pushed: 2 })).rejects.toThrow(/FAILED_PRECONDITION.*running.*seal it/);
    await seal(topicId, logStreamId);
    expect(await update({ pushed: 2 })).toEqual([1, 2]);
    // Node 2 holds it by now, or does not: no new epoch says so yet.
    await expect(update({ popped: 1 })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    const request = admpb.UnsealRequest.create({ topicId, logStreamId });
    await reported(logStreamId, 2);
    await cluster.ask(service.Unseal, request);
    await append(topicId, logStreamId, 'b');
    await seal(topicId, logStreamId);
    expect(await update({ popped: 1 })).toEqual([2]);
    await cluster.ask(service.Unseal, request);
    const { isPrimary, committedEnd } = cluster.nodes[2]!.replicas.get(logStreamId)!.core;
    expect({ isPrimary, committedEnd }).toEqual({ isPrimary: true, committedEnd: 2 });
  });

  test('refuses what cannot be, with codes that say why', async () => {
    const topicId = await addTopic();
    const call = cluster.channel;
    const wrongTopic = admpb.GetTopicRequest.create({ topicId: 999 });
    await expect(call.call(service.GetTopic, wrongTopic)).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
    });
    await expect(addLogStream(999)).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    await expect(addLogStream(topicId, 1, 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(addLogStream(topicId, 9)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const tooMany = admpb.AddLogStreamRequest.create({ topicId, replicationFactor: 3 });
    await expect(call.call(service.AddLogStream, tooMany)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    const storageNode = varlogpb.StorageNode.create({
      storageNodeId: 3,
      address: cluster.addresses[1]!,
    });
    await expect(
      call.call(service.AddStorageNode, admpb.AddStorageNodeRequest.create({ storageNode })),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const beyond = admpb.TrimRequest.create({ topicId, lastGlsn: 1 });
    await expect(call.call(service.Trim, beyond)).rejects.toMatchObject({ code: 'BEYOND_TAIL' });
  });

  test('forgets log streams and topics that are unregistered', async () => {
    const topicId = await addTopic();
    const { logStream } = await addLogStream(topicId, 1);
    const { logStreamId } = logStream!;
    const unregister = () =>
      cluster.ask(
        service.UnregisterLogStream,
        admpb.UnregisterLogStreamRequest.create({ topicId, logStreamId }),
      );
    await expect(unregister()).rejects.toThrow(/FAILED_PRECONDITION.*running.*seal it/);
    await seal(topicId, logStreamId);
    await unregister();
    await expect(
      cluster.ask(service.GetLogStream, admpb.GetLogStreamRequest.create({ topicId, logStreamId })),
    ).rejects.toMatchObject({ code: 'LOG_STREAM_NOT_FOUND' });
    await cluster.ask(service.UnregisterTopic, admpb.UnregisterTopicRequest.create({ topicId }));
    const { topics } = await cluster.ask(service.ListTopics, admpb.ListTopicsRequest.create({}));
    expect(topics.map((it) => it.topicId)).not.toContain(topicId);
  });

  test('names the members of the metadata repository', async () => {
    const { leader, members, replicationFactor } = await cluster.ask(
      service.GetMRMembers,
      Empty.create({}),
    );
    const [key] = Object.keys(members);
    const id = cluster.nodeId();
    expect([leader, Number(key), replicationFactor]).toEqual([id, id, 2]);
    const ask = (nodeId: number) =>
      cluster.ask(
        service.GetMetadataRepositoryNode,
        admpb.GetMetadataRepositoryNodeRequest.create({ nodeId }),
      );
    expect((await ask(leader)).node).toMatchObject({ nodeId: leader, leader: true });
    await expect(ask(5)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

test('a storage node that was unregistered stays so until an operator registers it again', async () => {
  const node = await cluster.startNode(3);
  await cluster.isUp(3);
  const list = async (): Promise<boolean[]> => {
    const request = admpb.ListStorageNodesRequest.create({});
    const { storageNodes } = await cluster.ask(service.ListStorageNodes, request);
    const found = storageNodes.filter((it) => it.storageNode?.storageNode?.storageNodeId === 3);
    return found.map((it) => it.alive);
  };
  const unregister = admpb.UnregisterStorageNodeRequest.create({ storageNodeId: 3 });
  await cluster.ask(service.UnregisterStorageNode, unregister);
  // It has asked for a link again, and was told.
  while (!node.notReady().some((it) => it.includes('unregistered'))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(await list()).toEqual([]);
  const storageNode = varlogpb.StorageNode.create({
    storageNodeId: 3,
    address: cluster.addresses[3]!,
  });
  const add = admpb.AddStorageNodeRequest.create({ storageNode });
  await cluster.ask(service.AddStorageNode, add);
  await cluster.isUp(3);
  expect(await list()).toEqual([true]);
  await cluster.ask(service.UnregisterStorageNode, unregister);
});

describe('the published MetadataRepositoryService', () => {
  test('tells the metadata, reports and commits of a log stream', async () => {
    const topicId = await addTopic();
    const { logStream } = await addLogStream(topicId, 1);
    const { logStreamId } = logStream!;
    await append(topicId, logStreamId, 'a', 'b');
    const { commitResult } = await cluster.ask(
      repositoryService.GetCommitResult,
      mrpb.GetCommitResultRequest.create({ topicId, logStreamId }),
    );
    expect(commitResult).toMatchObject({
      logStreamId,
      committedLlsnOffset: 1,
      committedGlsnOffset: 1,
      committedGlsnLength: 2,
      highWatermark: 2,
    });
    const { metadata } = await cluster.ask(
      repositoryService.GetMetadata,
      mrpb.GetMetadataRequest.create({}),
    );
    expect(metadata!.logStreams.map((it) => it.logStreamId)).toContain(logStreamId);
    const { reports } = await cluster.ask(
      repositoryService.GetReports,
      mrpb.GetReportsRequest.create({ logStreamId }),
    );
    expect(reports!.replicas).toMatchObject({ 1: { uncommittedLlsnOffset: 3 } });
  });

  test('membership calls change the members, or say why not', async () => {
    const request = mrpb.RemovePeerRequest.create({ clusterId: 7, nodeId: 1 });
    await expect(cluster.ask(mrpb.Management.RemovePeer, request)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('the only one that votes'),
    });
    const silent = mrpb.AddPeerRequest.create({ nodeId: 2, url: 'http://127.0.0.1:1' });
    await expect(cluster.ask(mrpb.Management.AddPeer, silent)).rejects.toMatchObject({
      code: 'UNREACHABLE',
      outcome: 'notAppended',
    });
    const nobody = mrpb.AddPeerRequest.create({ nodeId: 2 });
    await expect(cluster.ask(mrpb.Management.AddPeer, nobody)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const { clusterInfo } = await cluster.ask(
      mrpb.Management.GetClusterInfo,
      mrpb.GetClusterInfoRequest.create({ clusterId: 7 }),
    );
    expect(clusterInfo).toMatchObject({ clusterId: 7, replicationFactor: 2 });
    const id = cluster.nodeId();
    expect([clusterInfo!.nodeId, clusterInfo!.leader]).toEqual([id, id]);
    expect(Object.keys(clusterInfo!.members).map(Number)).toEqual([id]);
  });
});
