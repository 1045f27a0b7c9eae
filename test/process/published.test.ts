import { status } from '@grpc/grpc-js';
import { LARGEST_RECORD_BYTES, Varlog } from 'varlog/log';
import { freeAddresses } from 'varlog/testing';
import { LocalProcesses, type Program } from './local-processes.ts';
import { eventually, TestCluster } from './processes.ts';
import { OutsideClient, PUBLISHED_CALLS } from './published-client.ts';

/** Calls that are not served, as docs/published-interface.md says. */
const NOT_SERVED: readonly string[] = [];

const manager = (name: string): string => `varlog.admpb.ClusterManager/${name}`;
const logIo = (name: string): string => `varlog.snpb.LogIO/${name}`;
const members = (name: string): string => `varlog.mrpb.Management/${name}`;

/** What clients compute from the address of a member. */
function nodeIdOf(address: string): number {
  const [host, port] = address.split(':') as [string, string];
  const ip = host.split('.').reduce((sum, it) => sum * 256 + Number(it), 0);
  return ip * 2 ** 32 + Number(port) * 2 ** 16;
}

test('every call of the published services is served, and says what an empty request lacks', async () => {
  await using cluster = await TestCluster.start(1);
  using client = new OutsideClient(cluster.endpoints[0]!);
  expect(PUBLISHED_CALLS).toHaveLength(53);
  const codes = new Map<string, string>();
  for (const name of PUBLISHED_CALLS) {
    const { code, details } = await client.call(name);
    codes.set(name, status[code]!);
    if (code === status.INVALID_ARGUMENT) expect(details).toMatch(/INVALID_ARGUMENT|EMPTY_BATCH/);
  }
  const notServed = [...codes].filter(([, code]) => code === 'UNIMPLEMENTED').map(([name]) => name);
  expect(notServed).toEqual(NOT_SERVED);
  const answered = [...codes].filter(([, code]) => code === 'OK').map(([name]) => name);
  expect(answered.sort()).toEqual(
    [
      ...['ListStorageNodes', 'ListTopics', 'AddTopic'].map(manager),
      ...['ListMetadataRepositoryNodes', 'GetMRMembers'].map(manager),
      members('GetClusterInfo'),
      'varlog.mrpb.MetadataRepositoryService/GetMetadata',
      'varlog.snpb.Management/GetMetadata',
    ].sort(),
  );
  const others = new Set([...codes.values()].filter((it) => it !== 'OK'));
  expect([...others]).toEqual(['INVALID_ARGUMENT']);
}, 60_000);

test('an outside client adds members by their URLs, and removes them again', async () => {
  await using processes = new LocalProcesses();
  const [first, second, third] = (await freeAddresses(3)) as [string, string, string];
  const start = (id: number, listen: string, more: Record<string, string>): Program => {
    const directory = processes.folder(`node-${id}`);
    const program = processes.node({ 'node-id': id, listen, directory, ...more });
    program.start();
    return program;
  };
  start(1, first, {});
  await using varlog = await eventually(() => Varlog.connect({ endpoints: first }));
  await varlog.ready({ storageNodes: 1, timeoutMs: 30_000 });
  const join = { join: 'true', members: `1=${first}` };
  start(2, second, join);
  start(3, third, join);

  using client = new OutsideClient(first);
  const url = (address: string): string => `http://${address}`;
  const added = await eventually(() =>
    client.answer(manager('AddMetadataRepositoryNode'), {
      raftUrl: url(second),
      rpcAddr: second,
    }),
  );
  expect(added['node']).toMatchObject({
    nodeId: nodeIdOf(second),
    raftUrl: url(second),
    rpcAddr: second,
    learner: false,
  });
  // By way of one that does not lead, as the older calls do it.
  using other = new OutsideClient(second);
  const peer = { clusterId: 1, nodeId: nodeIdOf(third), url: url(third) };
  await eventually(() => other.answer(members('AddPeer'), { ...peer, peer }));
  const list = async (): Promise<number[]> => {
    const { nodes } = await client.answer(manager('ListMetadataRepositoryNodes'));
    return (nodes as { nodeId: number }[]).map((it) => it.nodeId);
  };
  expect(await list()).toEqual([first, second, third].map(nodeIdOf).sort((a, b) => a - b));
  expect(await client.call(members('AddPeer'), { ...peer, peer })).toMatchObject({
    code: status.ALREADY_EXISTS,
  });

  await client.answer(manager('DeleteMetadataRepositoryNode'), { nodeId: nodeIdOf(third) });
  await client.answer(manager('RemoveMRPeer'), { raftUrl: url(second) });
  await eventually(async () => expect(await list()).toEqual([nodeIdOf(first)]));
  const gone = { nodeId: nodeIdOf(third) };
  for (const [name, request] of [
    [manager('DeleteMetadataRepositoryNode'), gone],
    [manager('RemoveMRPeer'), { raftUrl: url(second) }],
    [members('RemovePeer'), gone],
  ] as const) {
    expect(await client.call(name, request)).toMatchObject({ code: status.NOT_FOUND });
  }
}, 120_000);

test('records of 16 MiB are taken from all clients, where the node was told so', async () => {
  const flags = ['--record-bytes-max', `${LARGEST_RECORD_BYTES}`];
  await using cluster = await TestCluster.start(1, { flags });
  await using varlog = await Varlog.connect({
    endpoints: cluster.endpoints,
    appends: { recordBytesMax: LARGEST_RECORD_BYTES },
  });
  const topic = await varlog.createTopic({ logStreams: 1 });
  const own = new Uint8Array(LARGEST_RECORD_BYTES).fill(1);
  const foreign = new Uint8Array(LARGEST_RECORD_BYTES).fill(2);
  // Whatever else the machine does, a log stream that is sealed meanwhile is opened again.
  await topic.append(own, { headers: { kind: 'large' }, timeoutMs: 60_000 });
  const [logStream] = (await topic.describe()).logStreams;
  const place = { topicId: topic.id, logStreamId: logStream!.id };
  using client = new OutsideClient(cluster.endpoints[0]!);
  await eventually(() => client.answer(logIo('Append'), { ...place, payload: [foreign] }));
  const tooLarge = { ...place, payload: [new Uint8Array(LARGEST_RECORD_BYTES + 1)] };
  expect(await client.call(logIo('Append'), tooLarge)).toMatchObject({
    code: status.INVALID_ARGUMENT,
    details: expect.stringContaining('16777216'),
  });
  const found: Uint8Array[] = [];
  for await (const { bytes } of topic.read()) found.push(bytes);
  expect([0, 1].map((i) => Buffer.compare(found[i]!, [own, foreign][i]!))).toEqual([0, 0]);
  const range = { ...place, glsnBegin: 1, glsnEnd: 3 };
  const { answers } = await client.call(logIo('Subscribe'), range);
  const payloads = answers.map((it) => it['payload'] as Buffer);
  expect(payloads.map((it) => [it.length, it[0]])).toEqual(
    [own, foreign].map((it) => [it.length, it[0]]),
  );
}, 120_000);

test('records are limited to 1 MiB where nothing else was said', async () => {
  await using cluster = await TestCluster.start(1);
  await using varlog = await cluster.connect();
  const topic = await varlog.createTopic({ logStreams: 1 });
  const large = new Uint8Array(1024 * 1024 + 1);
  await expect(topic.append(large)).rejects.toMatchObject({
    code: 'ENTRY_TOO_LARGE',
    message: expect.stringContaining('appends.recordBytesMax'),
  });
  await using bold = await Varlog.connect({
    endpoints: cluster.endpoints,
    appends: { recordBytesMax: LARGEST_RECORD_BYTES },
  });
  await expect(bold.topic(topic.id).append(large)).rejects.toMatchObject({
    code: 'ENTRY_TOO_LARGE',
    outcome: 'notAppended',
    message: expect.stringContaining('--record-bytes-max'),
  });
  await expect(
    Varlog.connect({ endpoints: cluster.endpoints, appends: { recordBytesMax: 0 } }),
  ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
}, 60_000);
