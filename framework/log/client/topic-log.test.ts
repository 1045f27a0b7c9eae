import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import {
  orderedLogContract,
  producerContract,
  replicaContract,
} from '../../testing/contracts/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { Varlog } from './index.ts';
import { type RealCluster, startRealCluster } from './real-cluster.fixture.ts';

const network = new GrpcNetwork();
const ports = { clock: realClock(), random: realRandom, network };

describe('a topic of a fake cluster keeps the contract of all ordered logs', () => {
  const make = async () => {
    const cluster = await FakeCluster.start(network, [[1], [2]]);
    const varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
    return {
      log: varlog.topic(1).asOrderedLog(),
      close: async () => {
        await varlog.close();
        await cluster.close();
      },
    };
  };
  for (const { title, run } of orderedLogContract(make)) test(title, run);
});

test('the status of a cluster does not read all of its metadata', async () => {
  const cluster = await FakeCluster.start(network, [[1], [2]]);
  const varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  const { renewals } = cluster;
  const { topics } = await varlog.status();
  expect(topics).toMatchObject([{ id: 1, logStreams: [{ id: 1 }, { id: 2 }] }]);
  expect(cluster.renewals).toBe(renewals);
  await varlog.close();
  await cluster.close();
});

describe.each([1, 3])('on %i storage nodes', (nodes) => {
  let cluster: RealCluster;
  let varlog: Varlog;
  beforeAll(async () => {
    cluster = await startRealCluster(nodes);
    varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint, clusterId: 3 });
    await varlog.ready({ storageNodes: nodes });
  }, 30_000);
  afterAll(async () => {
    await varlog.close();
    await cluster.close();
  }, 30_000);

  describe('a new topic keeps the contract of all ordered logs', () => {
    const make = async () => {
      const topic = await varlog.createTopic({ logStreams: 2 });
      return { log: topic.asOrderedLog(), close: () => varlog.deleteTopic(topic.id) };
    };
    for (const { title, run } of orderedLogContract(make)) test(title, run);
    for (const { title, run } of replicaContract(make, { lacks: ['compact'] }))
      test(title, run, 30_000);
  });

  describe('a new topic keeps the contract of logs with producers', () => {
    const make = async () => {
      const topic = await varlog.createTopic({ logStreams: 2 });
      const texts = async (): Promise<string[]> => {
        const found: string[] = [];
        for await (const it of topic.read()) found.push(it.text());
        return found;
      };
      const producer = (options: { id: number }) => topic.producer(options);
      return { producer, texts, close: () => varlog.deleteTopic(topic.id) };
    };
    for (const { title, run } of producerContract(make)) test(title, run);
  });

  test('what was appended is read, trimmed and followed', async () => {
    const topic = await varlog.createTopic({ logStreams: 2 });
    const { glsn, count } = await topic.append(['a', 'b', 'c']);
    expect({ glsn, count }).toEqual({ glsn: 1, count: 3 });
    const tail = topic.tail({ from: 2 });
    const followed: string[] = [];
    const following = (async () => {
      for await (const entry of tail) {
        followed.push(entry.text());
        if (followed.length === 52) break;
      }
    })();
    await Promise.all(Array.from({ length: 50 }, (_, i) => topic.append(`${i}`)));
    await following;
    expect(followed.slice(0, 2)).toEqual(['b', 'c']);
    expect(await topic.watermarks()).toEqual({ first: 1, last: 53 });
    await topic.trim(10);
    const read: number[] = [];
    for await (const entry of topic.read()) read.push(entry.glsn);
    expect(read).toEqual(Array.from({ length: 43 }, (_, i) => 11 + i));
    await expect(topic.read({ from: 10 }).batches().next()).rejects.toMatchObject({
      code: 'TRIMMED',
      details: { firstAvailable: 11 },
    });
    const status = await varlog.status();
    expect(status).toMatchObject({ clusterId: 3, leader: 1 });
    expect(status.storageNodes.filter((it) => it.alive)).toHaveLength(nodes);
    await varlog.deleteTopic(topic.id);
    await expect(topic.append('x')).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
      outcome: 'notAppended',
    });
  });

  test('the status shows a topic without a log stream too', async () => {
    const manager = network.connect(cluster.endpoint);
    const request = admpb.AddTopicRequest.create({});
    const { topic } = await manager.call(admpb.ClusterManager.AddTopic, request);
    manager.close();
    const { topics } = await varlog.status();
    expect(topics).toContainEqual({ id: topic!.topicId, logStreams: [], retention: {} });
    await varlog.deleteTopic(topic!.topicId);
  });

  test('more replicas than storage nodes are refused, and no topic is left behind', async () => {
    const before = (await varlog.topics()).length;
    await expect(varlog.createTopic({ replicationFactor: nodes + 1 })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    expect(await varlog.topics()).toHaveLength(before);
  });
});
