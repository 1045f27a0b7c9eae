import { realClock, realRandom } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { SimulatedDisk } from '../../testing/simulator/disk.ts';
import { eventually, TestCluster } from './cluster.fixture.ts';

let cluster: TestCluster;

afterEach(() => cluster.close());

const passed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('a node that is closed while it writes down its cluster does nothing more after that', async () => {
  cluster = await TestCluster.start([1]);
  const disk = new SimulatedDisk({ random: realRandom, clock: realClock() });
  const [address] = await freeAddresses(1);
  cluster.apply({ kind: 'registerStorageNode', id: 2, address: address! });
  cluster.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1, 2] });
  let written = 0;
  disk.faults = {
    latencyMs: ({ kind, path }) => {
      // The first time it is written to say whose folder it is.
      if (kind !== 'sync' || path !== 'storage/identity.new' || ++written < 2) return 0;
      return 300;
    },
  };
  cluster.disks.set(2, disk);
  await cluster.startNode(2);
  await eventually(() => written === 2);
  await cluster.stopNode(2);
  const operations = disk.operationCount;
  await passed(600);
  expect(disk.operationCount).toBe(operations);
  expect(disk.openFiles).toBe(0);
});
