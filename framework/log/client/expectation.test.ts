import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { World } from '../../testing/index.ts';
import { startRoles } from '../roles/index.ts';
import { FakeCluster } from './fake-cluster.fixture.ts';
import { type Topic, Varlog } from './index.ts';

const ports = { clock: realClock(), random: realRandom, network: new GrpcNetwork() };
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(layout: number[][]): Promise<{ cluster: FakeCluster; topic: Topic }> {
  const cluster = await FakeCluster.start(ports.network, layout);
  closers.push(() => cluster.close());
  const varlog = await Varlog.connect({ ports, endpoints: cluster.endpoint });
  closers.push(() => varlog.close());
  return { cluster, topic: varlog.topic(1) };
}

const NAMES = ['n1', 'n2', 'n3'];
const addressOf = (name: string): string => `${name}:9092`;
const members = NAMES.map((it, i) => ({ id: i + 1, address: addressOf(it) }));

/** Runs something against a cluster with one topic of so many log streams, where storage nodes support a feature level. */
async function inCluster(
  logStreams: number,
  scene: (topic: Topic, world: World) => Promise<void>,
  supportedLevel?: number,
): Promise<void> {
  const world = new World(1);
  try {
    for (const [i, name] of NAMES.entries()) {
      const level = supportedLevel === undefined ? {} : { supportedLevel };
      world.node(name, (it) =>
        startRoles({
          ports: it,
          clusterId: 1,
          nodeId: i + 1,
          address: addressOf(name),
          members,
          metadata: { directory: 'metadata', replicationFactor: NAMES.length },
          storage: { directory: 'storage', ...level },
        }),
      );
    }
    await world.play(async () => {
      const endpoints = NAMES.map(addressOf);
      const varlog = await Varlog.connect({ endpoints, ports: world.ports('client') });
      await varlog.ready({ storageNodes: NAMES.length, timeoutMs: 30_000 });
      await scene(await varlog.createTopic({ logStreams }), world);
      await varlog.close();
    }, 120_000);
  } finally {
    world.close();
  }
}

describe('an append that expects something', () => {
  test('goes as what an older node takes for an empty batch, and then says so', async () => {
    const { cluster, topic } = await start([[1]]);
    cluster.appendFault = (batch) =>
      batch.count > 0 ? undefined : { kind: 'refuse', code: 'EMPTY_BATCH', outcome: 'notAppended' };
    await topic.append('a');
    await expect(topic.append('b', { expect: { fence: 1 } })).rejects.toMatchObject({
      ...{ code: 'FAILED_PRECONDITION', outcome: 'notAppended' },
      message: expect.stringContaining('upgrade all storage nodes'),
    });
    expect(cluster.texts()).toEqual(['a']);
  });

  test('of one log stream must name it where there are several', async () => {
    const { cluster, topic } = await start([[1], [1]]);
    for (const expect_ of [{ tail: 0 }, { stream: { key: 'a', version: 0 } }]) {
      await expect(topic.append('a', { expect: expect_ })).rejects.toMatchObject({
        ...{ code: 'INVALID_ARGUMENT', outcome: 'notAppended' },
        message: expect.stringContaining('name it with logStream'),
      });
    }
    await topic.append('b', { logStream: 2, expect: { tail: 0 } }).catch(() => {});
    expect(cluster.streams.get(1)!.batches).toEqual([]);
  });

  test('is not repeated when its outcome is not known, and not said to be refused', async () => {
    const { cluster, topic } = await start([[1]]);
    cluster.appendFault = () => ({ kind: 'storeAndBreak' });
    await expect(topic.append('a', { expect: { tail: 0 } })).rejects.toMatchObject({
      ...{ code: 'APPEND_UNKNOWN', outcome: 'unknown' },
    });
  });
});

describe('a fence', () => {
  test('is in force in all log streams, those that are added and those that get another primary', async () => {
    await inCluster(2, async (topic, world) => {
      const first = await topic.fence();
      const second = await topic.fence();
      expect(second).toBeGreaterThan(first);
      const added = await topic.addLogStream({ replicationFactor: 3 });
      world.crash('n1', { powerLoss: true });
      const { logStreams, fence, fences } = await topic.describe();
      expect([fence, fences]).toEqual([second, []]);
      for (const { id: logStream } of logStreams) {
        const append = (token: number) =>
          topic.append('a', { logStream, expect: { fence: token }, timeoutMs: 30_000 });
        await expect(append(first)).rejects.toMatchObject({
          details: { expected: first, actual: second },
        });
        expect((await append(second)).logStream).toBe(logStream);
      }
      await topic.fence({ logStream: added, token: second + 5, timeoutMs: 30_000 });
      expect(await topic.describe()).toMatchObject({
        ...{ fence: second, fences: [{ logStream: added, token: second + 5 }] },
      });
      const behind = { code: 'CONDITION_FAILED' };
      await expect(topic.fence({ token: second + 1 })).rejects.toMatchObject(behind);
    });
  });

  test('says which log streams have no primary that answers, and takes effect when they have one', async () => {
    await inCluster(1, async (topic, world) => {
      const token = await topic.fence();
      world.crash('n1');
      world.crash('n2');
      await expect(topic.fence({ timeoutMs: 5_000 })).rejects.toMatchObject({ code: 'TIMEOUT' });
      world.restart('n1');
      world.restart('n2');
      const next = await topic.fence({ timeoutMs: 60_000 });
      expect(next).toBeGreaterThan(token);
    });
  });

  test('is refused while a storage node does not know of it', async () => {
    await inCluster(
      1,
      async (topic) => {
        await expect(topic.fence()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      },
      5,
    );
  });
});
