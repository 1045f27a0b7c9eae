import { World } from '../../testing/index.ts';
import { startRoles } from '../roles/index.ts';
import { type Topic, Varlog } from './index.ts';

jest.setTimeout(120_000);

const NAMES = ['n1', 'n2', 'n3'];
const addressOf = (name: string): string => `${name}:9092`;
const members = NAMES.map((it, i) => ({ id: i + 1, address: addressOf(it) }));

/** Runs something against a cluster with one topic of so many log streams, where nodes may support a lower feature level. */
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
          metadata: { directory: 'metadata', replicationFactor: NAMES.length, ...level },
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

describe('a fence', () => {
  test('is in force in all log streams, those that are added and those that get another primary', async () => {
    await inCluster(2, async (topic, world) => {
      const first = await topic.fence();
      const second = await topic.fence();
      expect(second).toBeGreaterThan(first);
      const added = await topic.addLogStream({ replicationFactor: 3 });
      world.crash('n1', { powerLoss: true });
      world.after(2_000, () => world.restart('n1'));
      const { logStreams, fence, fences } = await topic.describe();
      expect([fence, fences]).toEqual([second, []]);
      for (const { id: logStream } of logStreams) {
        // Until its primary is replaced, what becomes of one that was on its way may not be known.
        const append = async (token: number): Promise<unknown> => {
          const expect = { fence: token };
          const { glsn } = await topic.append('a', { logStream, expect }).catch((error) => {
            if (error.outcome === 'unknown') return { glsn: undefined };
            throw error;
          });
          return glsn ?? append(token);
        };
        await expect(append(first)).rejects.toMatchObject({
          ...{ code: 'CONDITION_FAILED', details: { expected: first, actual: second } },
        });
        expect(await append(second)).toBeGreaterThan(0);
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
      const [logStream] = (await topic.describe()).logStreams;
      const primary = NAMES[logStream!.replicas[0]! - 1]!;
      const lift = world.partition([['client'], [primary]]);
      await expect(topic.fence({ timeoutMs: 5_000 })).rejects.toMatchObject({
        ...{ code: 'TIMEOUT', outcome: 'unknown', details: { logStreams: [logStream!.id] } },
      });
      lift();
      const next = await topic.fence({ timeoutMs: 60_000 });
      expect(next).toBeGreaterThan(token);
    });
  });

  test('is refused while nodes do not know of it', async () => {
    await inCluster(
      1,
      async (topic) => {
        await expect(topic.fence()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      },
      5,
    );
  });
});
