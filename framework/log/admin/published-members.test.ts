import { type UnaryMethod, VarlogError } from '../../base/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import * as mrpb from '../../wire/gen/mrpb.ts';
import { Cluster } from './cluster.fixture.ts';

const manager = admpb.ClusterManager;
const management = mrpb.Management;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start();
}, 60_000);
afterAll(() => cluster.close());

function ask<Request, Response>(
  { request: codec, ...method }: UnaryMethod<Request, Response>,
  request: object,
): Promise<Response> {
  const { create } = codec as unknown as { create(fields: object): Request };
  return cluster.channel.call({ ...method, request: codec }, create(request));
}

const url = (address: string): string => `http://${address}`;
const votes = async (): Promise<number[]> => {
  const { nodes } = await ask(manager.ListMetadataRepositoryNodes, {});
  return nodes.filter((it) => !it.learner).map((it) => it.nodeId);
};
const sorted = (ids: number[]): number[] => ids.sort((a, b) => a - b);

test('members come and go by their URLs and the ids that are computed from these', async () => {
  const own = cluster.nodeId();
  const second = await cluster.startMember(2);
  const id = cluster.nodeId(second);
  const added = await ask(manager.AddMetadataRepositoryNode, { raftUrl: url(second) });
  const described = { nodeId: id, raftUrl: url(second), rpcAddr: second, learner: false };
  expect(added.node).toMatchObject({ ...described, leader: false });
  expect(await votes()).toEqual(sorted([own, id]));
  const found = await ask(manager.GetMetadataRepositoryNode, { nodeId: id });
  expect(found.node).toMatchObject(described);
  for (const again of [
    ask(manager.AddMRPeer, { raftUrl: `${url(second)}/`, rpcAddr: second }),
    ask(management.AddPeer, { clusterId: 7, nodeId: id, url: url(second) }),
  ]) {
    await expect(again).rejects.toMatchObject({ code: 'ALREADY_EXISTS', outcome: 'notAppended' });
  }
  await ask(manager.DeleteMetadataRepositoryNode, { nodeId: id });
  expect(await votes()).toEqual([own]);

  const third = await cluster.startMember(3);
  const peer = mrpb.PeerInfo.create({ nodeId: cluster.nodeId(third), url: url(third) });
  await ask(management.AddPeer, { peer });
  expect(await votes()).toEqual(sorted([own, cluster.nodeId(third)]));
  await ask(manager.RemoveMRPeer, { raftUrl: url(third) });
  expect(await votes()).toEqual([own]);

  // By its own id too, as our own tools call it.
  const fourth = await cluster.startMember(4);
  await ask(management.AddPeer, { nodeId: 4, url: fourth });
  await ask(management.RemovePeer, { nodeId: cluster.nodeId(fourth) });

  const fifth = await cluster.startMember(5);
  const { nodeId } = await ask(manager.AddMRPeer, { raftUrl: url(fifth), rpcAddr: fifth });
  expect(nodeId).toBe(cluster.nodeId(fifth));
  await ask(management.RemovePeer, { nodeId: 5 });
  expect(await votes()).toEqual([own]);
}, 60_000);

const nowhere = 'http://127.0.0.1:1';
const idOfNowhere = 0x7f000001 * 2 ** 32 + 2 ** 16;
const refused: [string, () => Promise<unknown>, string, RegExp][] = [
  [
    'an id that is not that of the URL',
    () => ask(management.AddPeer, { nodeId: idOfNowhere + 2 ** 16, url: nowhere }),
    'INVALID_ARGUMENT',
    /9151314447111946240 is not that of 127.0.0.1:1 .*9151314447111880704/,
  ],
  [
    'an id beside a URL from which none is computed',
    () => ask(management.AddPeer, { nodeId: idOfNowhere, url: 'http://somewhere:1' }),
    'INVALID_ARGUMENT',
    /IPv4/,
  ],
  ['no id', () => ask(management.AddPeer, { url: nowhere }), 'INVALID_ARGUMENT', /invalid node 0/],
  [
    'a port that is none',
    () => ask(manager.AddMRPeer, { raftUrl: 'http://127.0.0.1:65536' }),
    'INVALID_ARGUMENT',
    /http:\/\/host:port/,
  ],
  ['no URL', () => ask(manager.AddMRPeer, {}), 'INVALID_ARGUMENT', /http:\/\/host:port/],
  [
    'two addresses',
    () => ask(manager.AddMRPeer, { raftUrl: nowhere, rpcAddr: '127.0.0.1:2' }),
    'INVALID_ARGUMENT',
    /one address for everything/,
  ],
  [
    'one that does not answer',
    () => ask(manager.AddMetadataRepositoryNode, { raftUrl: nowhere }),
    'UNREACHABLE',
    /nothing was changed/,
  ],
  [
    'the only member',
    () => ask(manager.DeleteMetadataRepositoryNode, { nodeId: cluster.nodeId() }),
    'FAILED_PRECONDITION',
    /the only one that votes/,
  ],
  [
    'nobody by an id',
    () => ask(manager.DeleteMetadataRepositoryNode, { nodeId: idOfNowhere }),
    'NOT_FOUND',
    /9151314447111880704/,
  ],
  ['no id', () => ask(management.RemovePeer, {}), 'INVALID_ARGUMENT', /invalid node 0/],
  ['nobody', () => ask(manager.RemoveMRPeer, { raftUrl: nowhere }), 'NOT_FOUND', /127.0.0.1:1/],
  [
    'another cluster to add to',
    () => ask(management.AddPeer, { clusterId: 8, nodeId: idOfNowhere, url: nowhere }),
    'CLUSTER_MISMATCH',
    /cluster 7/,
  ],
  [
    'another cluster to remove from',
    () => ask(management.RemovePeer, { clusterId: 8, nodeId: 1 }),
    'CLUSTER_MISMATCH',
    /cluster 7/,
  ],
  [
    'another cluster to ask',
    () => ask(management.GetClusterInfo, { clusterId: 8 }),
    'CLUSTER_MISMATCH',
    /cluster 7/,
  ],
];
test.each(refused)('is refused: %s', async (_, work, code, message) => {
  const error = await work().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(VarlogError.is(error) && error.code).toBe(code);
  expect((error as Error).message).toMatch(message);
  expect(await votes()).toEqual([cluster.nodeId()]);
});
