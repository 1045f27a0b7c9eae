import { realClock, realRandom } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { SimulatedDisk } from '../../testing/simulator/disk.ts';
import { eventually, TestCluster } from './cluster.fixture.ts';

let cluster: TestCluster;

afterEach(() => cluster.close());

/** Node 2 beside node 1, on a disk that takes its time. */
async function withSlowDisk(): Promise<SimulatedDisk> {
  cluster = await TestCluster.start([1]);
  const disk = new SimulatedDisk({ random: realRandom, clock: realClock() });
  cluster.disks.set(2, disk);
  const [address] = await freeAddresses(1);
  cluster.apply({ kind: 'registerStorageNode', id: 2, address: address! });
  await cluster.startNode(2);
  return disk;
}

describe('a replica that is taken away while it is opened, and cannot be opened', () => {
  const isOfReplica = (path: string): boolean => path.startsWith('storage/replicas/1');

  /** Resolves when node 2 has removed what it could not open. */
  async function takeAwayWhileOpened(): Promise<SimulatedDisk> {
    const disk = await withSlowDisk();
    let isOpening = false;
    disk.faults = {
      latencyMs: ({ path }) => (isOfReplica(path) ? 100 : 0),
      fail: ({ kind, path }) => {
        if (!isOfReplica(path)) return undefined;
        isOpening = true;
        return kind === 'open' ? 'EROFS' : undefined;
      },
    };
    cluster.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1, 2] });
    await eventually(() => isOpening);
    cluster.setReplicas([1]);
    expect(cluster.metadata.storageNodes.get(2)!.removed).toEqual([1]);
    await eventually(() => cluster.metadata.storageNodes.get(2)!.removed.length === 0);
    return disk;
  }

  test('is nothing that the node is ill of', async () => {
    await takeAwayWhileOpened();
    const node = cluster.nodes.get(2)!;
    expect(node.status.replicas).toEqual([]);
    expect(node.health).toBeUndefined();
    expect(() => node.find(1, 1)).toThrow(/LOG_STREAM_NOT_FOUND/);
  });

  test('is opened when it is given to the node again', async () => {
    const disk = await takeAwayWhileOpened();
    disk.faults = {};
    cluster.setReplicas([1, 2]);
    await cluster.reopen(1, [1, 2]);
    expect(cluster.nodes.get(2)!.status.replicas).toMatchObject([{ state: 'open' }]);
    expect(await cluster.appender(1).append('a')).toMatchObject({ failure: null, glsn: 1 });
  });
});

test('a replica that cannot be opened because of a mistake in this program is failed, and says so', async () => {
  const disk = await withSlowDisk();
  disk.faults = {
    fail: ({ path }) => {
      if (path.startsWith('storage/replicas/1')) throw new TypeError('a mistake');
      return undefined;
    },
  };
  cluster.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1, 2] });
  await eventually(() => cluster.reported(2) === 'failed');
  const node = cluster.nodes.get(2)!;
  expect(node.status.replicas).toMatchObject([{ logStreamId: 1, state: 'failed' }]);
  expect(node.health).toContain('a mistake');
  expect(() => node.find(1, 1)).toThrow(/UNAVAILABLE.*a mistake/);
  // Nothing is left of it that would keep it from being removed.
  cluster.setReplicas([1]);
  await eventually(() => cluster.metadata.storageNodes.get(2)!.removed.length === 0);
  expect([node.status.replicas, node.health]).toEqual([[], undefined]);
});
