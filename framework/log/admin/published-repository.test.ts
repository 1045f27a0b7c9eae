import * as admpb from '../../wire/gen/admpb.ts';
import * as mrpb from '../../wire/gen/mrpb.ts';
import * as varlogpb from '../../wire/gen/varlogpb.ts';
import { Cluster } from './cluster.fixture.ts';

const service = mrpb.MetadataRepositoryService;
const manager = admpb.ClusterManager;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start();
}, 60_000);
afterAll(() => cluster.close());

const call: Cluster['channel']['call'] = (...args) => cluster.channel.call(...args);

const storageNode = (id: number, address = 'nowhere:1') =>
  mrpb.StorageNodeRequest.create({
    storageNode: varlogpb.StorageNodeDescriptor.create({
      storageNode: varlogpb.StorageNode.create({ storageNodeId: id, address }),
    }),
  });
const topic = (topicId: number) => mrpb.TopicRequest.create({ topicId });
const logStream = (logStreamId: number, topicId: number, ...nodes: number[]) =>
  mrpb.LogStreamRequest.create({
    logStream: varlogpb.LogStreamDescriptor.create({
      topicId,
      logStreamId,
      replicas: nodes.map((storageNodeId) => varlogpb.ReplicaDescriptor.create({ storageNodeId })),
    }),
  });

async function known(): Promise<{ nodes: number[]; topics: number[]; logStreams: number[][] }> {
  const { metadata } = await call(service.GetMetadata, mrpb.GetMetadataRequest.create({}));
  return {
    nodes: metadata!.storageNodes.map((it) => it.storageNode!.storageNodeId),
    topics: metadata!.topics.map((it) => it.topicId),
    logStreams: metadata!.logStreams.map((it) => [
      it.logStreamId,
      ...it.replicas.map((replica) => replica.storageNodeId),
    ]),
  };
}

test('what its client registers is there, and gone once it is unregistered', async () => {
  await call(service.RegisterStorageNode, storageNode(9));
  await call(service.RegisterTopic, topic(5));
  await call(service.RegisterLogStream, logStream(6, 5, 1));
  expect(await known()).toEqual({ nodes: [1, 2, 9], topics: [5], logStreams: [[6, 1]] });

  // What holds something of somebody else stays.
  await expect(call(service.UnregisterStorageNode, storageNode(1))).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining('log stream 6'),
  });
  await call(service.UnregisterStorageNode, storageNode(9));
  await call(service.Seal, mrpb.SealRequest.create({ logStreamId: 6 }));
  await call(service.UnregisterLogStream, logStream(6, 5));
  expect(await known()).toMatchObject({ nodes: [1, 2], topics: [5], logStreams: [] });
  await call(service.UnregisterTopic, topic(5));
  expect((await known()).topics).toEqual([]);
});

test('a log stream moves to other nodes while it is sealed, and only then', async () => {
  await call(service.RegisterTopic, topic(15));
  await call(service.RegisterLogStream, logStream(16, 15, 1));
  const seal = mrpb.SealRequest.create({ logStreamId: 16 });
  expect(await call(service.Seal, seal)).toMatchObject({ lastCommittedGlsn: 0 });
  const move = (...nodes: number[]) => call(service.UpdateLogStream, logStream(16, 15, ...nodes));
  await move(1, 2);
  expect((await known()).logStreams).toContainEqual([16, 1, 2]);
  await expect(move(1, 7)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await call(service.Unseal, mrpb.UnsealRequest.create({ logStreamId: 16 }));
  await expect(move(2)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
});

const refused: [string, () => Promise<unknown>, object][] = [
  [
    'a storage node without a description',
    () => call(service.RegisterStorageNode, mrpb.StorageNodeRequest.create({})),
    { code: 'INVALID_ARGUMENT', message: expect.stringContaining('set storage_node') },
  ],
  [
    'a log stream without a description',
    () => call(service.RegisterLogStream, mrpb.LogStreamRequest.create({})),
    { code: 'INVALID_ARGUMENT', message: expect.stringContaining('set log_stream') },
  ],
  [
    'a log stream of a topic that is not there',
    () => call(service.RegisterLogStream, logStream(1, 99, 1)),
    { code: 'TOPIC_NOT_FOUND' },
  ],
  [
    'a log stream on no node',
    async () => {
      await call(service.RegisterTopic, topic(25));
      await call(service.RegisterLogStream, logStream(26, 25));
    },
    { code: 'INVALID_ARGUMENT' },
  ],
  [
    'to unregister a topic that is not there',
    () => call(service.UnregisterTopic, topic(99)),
    { code: 'TOPIC_NOT_FOUND' },
  ],
  [
    'to unregister a log stream that is not there',
    () => call(service.UnregisterLogStream, logStream(99, 1)),
    { code: 'LOG_STREAM_NOT_FOUND' },
  ],
  [
    'to unregister a storage node that is not there',
    () => call(service.UnregisterStorageNode, storageNode(99)),
    { code: 'NOT_FOUND' },
  ],
  [
    'to seal a log stream that is not there',
    () => call(service.Seal, mrpb.SealRequest.create({ logStreamId: 99 })),
    { code: 'LOG_STREAM_NOT_FOUND' },
  ],
  [
    'a manager asked for a storage node that is not there',
    () => call(manager.GetStorageNode, admpb.GetStorageNodeRequest.create({ storageNodeId: 99 })),
    { code: 'NOT_FOUND', message: expect.stringContaining('storage node 99') },
  ],
  [
    'a manager asked for a member that is not there',
    () =>
      call(
        manager.GetMetadataRepositoryNode,
        admpb.GetMetadataRepositoryNodeRequest.create({ nodeId: 99 }),
      ),
    { code: 'NOT_FOUND', message: expect.stringContaining('node id 99') },
  ],
  [
    'a manager given no storage node to add',
    () => call(manager.AddStorageNode, admpb.AddStorageNodeRequest.create({})),
    { code: 'INVALID_ARGUMENT', message: expect.stringContaining('set storage_node') },
  ],
  ...['', 'nonsense', '::1:9092'].map((address): [string, () => Promise<unknown>, object] => [
    `a manager given a storage node at "${address}"`,
    () => {
      const storageNode = varlogpb.StorageNode.create({ storageNodeId: 8, address });
      return call(manager.AddStorageNode, admpb.AddStorageNodeRequest.create({ storageNode }));
    },
    { code: 'INVALID_ARGUMENT', message: expect.stringContaining('host:port') },
  ]),
  [
    'a manager given a storage node where nobody listens',
    () => {
      const node = varlogpb.StorageNode.create({ storageNodeId: 8, address: '127.0.0.1:1' });
      return call(
        manager.AddStorageNode,
        admpb.AddStorageNodeRequest.create({ storageNode: node }),
      );
    },
    { code: 'UNREACHABLE', message: expect.stringContaining('127.0.0.1:1') },
  ],
];
test.each(refused)('is refused: %s', async (_, work, error) => {
  await expect(work()).rejects.toMatchObject(error);
  expect((await known()).nodes).toEqual([1, 2]);
});

test('the manager describes nodes and members', async () => {
  const { storageNode: node } = await call(
    manager.GetStorageNode,
    admpb.GetStorageNodeRequest.create({ storageNodeId: 2 }),
  );
  expect(node).toMatchObject({
    alive: true,
    storageNode: { storageNode: { storageNodeId: 2, address: cluster.addresses[2] } },
  });
  const { node: member } = await call(
    manager.GetMetadataRepositoryNode,
    admpb.GetMetadataRepositoryNodeRequest.create({ nodeId: 1 }),
  );
  expect(member).toMatchObject({ nodeId: cluster.nodeId(), leader: true });
});
