import { type Channel, type Ports, silent } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { SimulatedDisk } from '../../testing/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import * as mrpb from '../../wire/gen/mrpb.ts';
import { Empty } from '../../wire/gen/protobuf.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import * as varlogpb from '../../wire/gen/varlogpb.ts';
import { type MetadataRepository, startMetadataRepository } from '../metadata-repository/index.ts';
import { startStorageNode } from '../storage-node/index.ts';
import { startAdmin } from './index.ts';

const service = admpb.ClusterManager;
const repositoryService = mrpb.MetadataRepositoryService;

/** One member of the metadata repository with its admin, and two storage nodes, on the loopback interface. */
class Cluster {
  channel!: Channel;
  repository!: MetadataRepository;
  readonly addresses: string[] = [];
  private readonly closers: (() => Promise<void> | void)[] = [];

  static async start(): Promise<Cluster> {
    const cluster = new Cluster();
    const address = await cluster.startRepository();
    for (const id of [1, 2]) await cluster.startNode(id, address);
    for (const id of [1, 2]) await cluster.isUp(id);
    return cluster;
  }

  async close(): Promise<void> {
    for (const it of this.closers.reverse()) await it();
  }

  private async startRepository(): Promise<string> {
    const ports = portsOfOne();
    const address = (await freeAddresses(1))[0]!;
    this.repository = await startMetadataRepository({
      ports,
      clusterId: 7,
      memberId: 1 as never,
      members: [{ id: 1 as never, address }],
      directory: 'metadata',
      replicationFactor: 2,
    });
    const admin = startAdmin({ ports, repository: this.repository, replicationFactor: 2 });
    const server = await ports.network.serve(address, [
      ...this.repository.handlers,
      ...admin.handlers,
    ]);
    this.channel = ports.network.connect(address);
    this.closers.push(
      () => this.repository.close(),
      () => admin.close(),
      () => server.close(),
      () => this.channel.close(),
    );
    return address;
  }

  private async startNode(id: number, repository: string): Promise<void> {
    const ports = portsOfOne();
    const address = (await freeAddresses(1))[0]!;
    const node = await startStorageNode({
      ports,
      clusterId: 7,
      storageNodeId: id,
      address,
      directory: 'storage',
      metadataRepository: [repository],
    });
    const server = await ports.network.serve(address, node.handlers);
    this.addresses[id] = address;
    this.closers.push(
      () => node.close(),
      () => server.close(),
    );
  }

  private async isUp(id: number): Promise<void> {
    for (;;) {
      const { storageNodes } = await this.channel.call(
        service.ListStorageNodes,
        admpb.ListStorageNodesRequest.create({}),
      );
      const found = storageNodes.find((it) => it.storageNode?.storageNode?.storageNodeId === id);
      if (found?.alive) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

function portsOfOne(): Ports {
  const disk = new SimulatedDisk({ random: realRandom });
  return {
    clock: realClock(),
    random: realRandom,
    disk,
    network: new GrpcNetwork(),
    logger: silent,
  };
}

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start();
}, 20_000);
afterAll(() => cluster.close());

const addTopic = async (): Promise<number> => {
  const { topic } = await cluster.channel.call(service.AddTopic, admpb.AddTopicRequest.create({}));
  return topic!.topicId;
};
const addLogStream = (topicId: number, ...nodes: number[]) =>
  cluster.channel.call(
    service.AddLogStream,
    admpb.AddLogStreamRequest.create({
      topicId,
      replicas: nodes.map((storageNodeId) => varlogpb.ReplicaDescriptor.create({ storageNodeId })),
    }),
  );

describe('the published ClusterManager', () => {
  test('makes topics and log streams, which are open then, and describes them', async () => {
    const topicId = await addTopic();
    const { logStream } = await addLogStream(topicId);
    expect(logStream!.replicas.map((it) => it.storageNodeId).sort()).toEqual([1, 2]);
    const described = await cluster.channel.call(
      service.DescribeTopic,
      admpb.DescribeTopicRequest.create({ topicId }),
    );
    expect(described.topic!.logStreams).toEqual([logStream!.logStreamId]);
    expect(described.logStreams[0]!.status).toBe(0);
    const { logStreams } = await cluster.channel.call(
      service.ListLogStreams,
      admpb.ListLogStreamsRequest.create({ topicId }),
    );
    expect(logStreams.map((it) => it.logStreamId)).toEqual(described.topic!.logStreams);
  });

  test('seals and unseals a log stream on demand', async () => {
    const topicId = await addTopic();
    const { logStream } = await addLogStream(topicId, 1);
    const { logStreamId } = logStream!;
    const request = { topicId, logStreamId };
    await cluster.channel.call(service.Seal, admpb.SealRequest.create(request));
    const get = async (): Promise<number> => {
      const it = admpb.GetLogStreamRequest.create(request);
      return (await cluster.channel.call(service.GetLogStream, it)).logStream!.status;
    };
    expect(await get()).not.toBe(0);
    await cluster.channel.call(service.Unseal, admpb.UnsealRequest.create(request));
    while ((await get()) !== 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test('moves a replica: the log stream is sealed for it, and goes on with what it had', async () => {
    const topicId = await addTopic();
    const { logStream } = await addLogStream(topicId, 1);
    const { logStreamId } = logStream!;
    const pushed = varlogpb.ReplicaDescriptor.create({ storageNodeId: 2 });
    const request = { topicId, logStreamId, pushedReplica: pushed };
    const { logStream: after } = await cluster.channel.call(
      service.UpdateLogStream,
      admpb.UpdateLogStreamRequest.create(request),
    );
    expect(after!.replicas.map((it) => it.storageNodeId)).toEqual([1, 2]);
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
    await cluster.channel.call(
      service.UnregisterLogStream,
      admpb.UnregisterLogStreamRequest.create({ topicId, logStreamId }),
    );
    await expect(
      cluster.channel.call(
        service.GetLogStream,
        admpb.GetLogStreamRequest.create({ topicId, logStreamId }),
      ),
    ).rejects.toMatchObject({ code: 'LOG_STREAM_NOT_FOUND' });
    await cluster.channel.call(
      service.UnregisterTopic,
      admpb.UnregisterTopicRequest.create({ topicId }),
    );
    const { topics } = await cluster.channel.call(
      service.ListTopics,
      admpb.ListTopicsRequest.create({}),
    );
    expect(topics.map((it) => it.topicId)).not.toContain(topicId);
  });

  test('names the members of the metadata repository', async () => {
    const { leader, members, replicationFactor } = await cluster.channel.call(
      service.GetMRMembers,
      Empty.create({}),
    );
    expect([leader, Object.keys(members), replicationFactor]).toEqual([1, ['1'], 2]);
  });
});

describe('the published MetadataRepositoryService', () => {
  test('tells the metadata, reports and commits of a log stream', async () => {
    const topicId = await addTopic();
    const { logStream } = await addLogStream(topicId, 1);
    const { logStreamId } = logStream!;
    const node = new GrpcNetwork().connect(cluster.addresses[1]!);
    const stream = node.open(snpb.LogIO.Append);
    stream.receive(() => {});
    const payload = ['a', 'b'].map((it) => new TextEncoder().encode(it));
    stream.send(snpb.AppendRequest.create({ topicId, logStreamId, payload }));
    stream.end();
    await stream.closed;
    node.close();
    const { commitResult } = await cluster.channel.call(
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
    const { metadata } = await cluster.channel.call(
      repositoryService.GetMetadata,
      mrpb.GetMetadataRequest.create({}),
    );
    expect(metadata!.logStreams.map((it) => it.logStreamId)).toContain(logStreamId);
    const { reports } = await cluster.channel.call(
      repositoryService.GetReports,
      mrpb.GetReportsRequest.create({ logStreamId }),
    );
    expect(reports!.replicas).toMatchObject({ 1: { uncommittedLlsnOffset: 3 } });
  });

  test('membership calls are refused with what to do instead', async () => {
    const request = mrpb.RemovePeerRequest.create({ clusterId: 7, nodeId: 1 });
    await expect(cluster.channel.call(mrpb.Management.RemovePeer, request)).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
    });
    const { clusterInfo } = await cluster.channel.call(
      mrpb.Management.GetClusterInfo,
      mrpb.GetClusterInfoRequest.create({ clusterId: 7 }),
    );
    expect(clusterInfo).toMatchObject({ clusterId: 7, nodeId: 1, leader: 1, replicationFactor: 2 });
  });
});
