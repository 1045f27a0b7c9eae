import { type Clock, noLogger } from '../../base/index.ts';
import { GrpcNetwork, realClock, realRandom } from '../../runtime/index.ts';
import { freeAddresses } from '../../testing/free-addresses.ts';
import { SimulatedDisk } from '../../testing/simulator/disk.ts';
import { LogStreams, ReadRequest } from '../../wire/gen/log.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import { eventually, TestCluster } from './cluster.fixture.ts';
import { startStorageNode } from './storage-node.ts';

let cluster: TestCluster | undefined;

afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

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

test('a node that cannot start leaves nothing behind that goes on', async () => {
  const disk = new SimulatedDisk({ random: realRandom });
  const timers = new Set<object>();
  const real = realClock();
  const clock: Clock = {
    ...real,
    after: (ms, ring) => {
      const timer = real.after(ms, ring);
      timers.add(timer);
      return {
        cancel: () => {
          timers.delete(timer);
          timer.cancel();
        },
      };
    },
  };
  disk.faults = { fail: ({ path }) => (path === 'storage/members' ? 'EIO' : undefined) };
  const network = new GrpcNetwork();
  const start = startStorageNode({
    ports: { clock, random: realRandom, disk, network, logger: noLogger },
    clusterId: 1,
    storageNodeId: 1,
    address: '127.0.0.1:1',
    directory: 'storage',
    metadataRepository: ['127.0.0.1:1'],
  });
  await expect(start).rejects.toMatchObject({ code: 'DISK_FAILED' });
  expect([timers.size, await disk.isLocked('storage')]).toEqual([0, false]);
});

/** To whoever reads a range, the end of the stream says that it was all of it. */
describe('a range of which not all is there yet is never ended as if it were', () => {
  const closings: [string, () => Promise<unknown>][] = [
    ['the node ends', () => cluster!.nodes.get(1)!.close()],
    ['its process ends', () => cluster!.stopNode(1)],
    [
      'the log stream is taken away',
      async () => cluster!.apply({ kind: 'unregisterTopic', id: 1 }),
    ],
  ];

  test.each(closings)('%s', async (_, close) => {
    cluster = await TestCluster.withLogStreams([1]);
    const appender = cluster.appender(1);
    for (const text of ['a', 'b', 'c']) await appender.append(text);
    const channel = cluster.connect(1);
    const ids = { topicId: 1, logStreamId: 1 };
    const range = ReadRequest.create({ ...ids, fromGlsn: 1, toGlsn: 4 });
    const glsns = snpb.SubscribeRequest.create({ ...ids, glsnBegin: 1, glsnEnd: 5 });
    const llsns = snpb.SubscribeToRequest.create({ ...ids, llsnBegin: 1, llsnEnd: 5 });
    let came = 0;
    const read = channel.subscribe(LogStreams.Read, range);
    read.receive(({ batches }) => {
      came += batches.length;
    });
    const byGlsn = channel.subscribe(snpb.LogIO.Subscribe, glsns);
    byGlsn.receive(() => void came++);
    const byLlsn = channel.subscribe(snpb.LogIO.SubscribeTo, llsns);
    byLlsn.receive(() => void came++);
    await eventually(() => came === 9);
    await close();
    const ends = await Promise.allSettled([read, byGlsn, byLlsn].map((it) => it.closed));
    expect(ends.map((it) => it.status)).toEqual(['rejected', 'rejected', 'rejected']);
  });
});
