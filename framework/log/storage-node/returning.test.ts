import { setImmediate } from 'node:timers/promises';
import { TurnBudget } from '../../base/index.ts';
import { FetchRequest, Replication } from '../../wire/gen/log.ts';
import { batchOf, eventually, TestCluster } from './cluster.fixture.ts';

const LOG_STREAMS = 8;
const BATCHES = 600;
/** So many small batches come together, and no more: nobody waits long for one who handles them. */
const TOGETHER_MAX = 256;

let cluster: TestCluster;
afterEach(() => cluster.close());

test('a node that missed much on many log streams is whole again, by pieces', async () => {
  cluster = await TestCluster.start([1, 2, 3]);
  const ids = Array.from({ length: LOG_STREAMS }, (_, i) => i + 1);
  for (const id of ids) {
    cluster.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: [1, 2, 3] });
    await cluster.reopen(id, [1, 2, 3]);
  }
  await cluster.stopNode(3);
  const appender = cluster.appender(1);
  const batch = batchOf(['x']);
  const appends = ids.flatMap((logStreamId) =>
    Array.from({ length: BATCHES }, () => appender.send({ ...batch, logStreamId })),
  );
  for (const it of await Promise.all(appends)) expect(it.failure).toBeNull();
  const take = jest.spyOn(TurnBudget.prototype, 'take');
  await cluster.startNode(3);
  await eventually(() => ids.every((id) => cluster.replica(3, id).core.committedEnd === BATCHES));
  // It stores them over many turns, as the others send them: else it would hear of nothing else meanwhile.
  const { transfers } = cluster.nodes.get(3)!;
  const own = take.mock.calls.filter((_, i) => take.mock.contexts[i] === transfers);
  const cost = own.reduce((sum, [it]) => sum + it, 0);
  take.mockRestore();
  expect(cost).toBeGreaterThanOrEqual(LOG_STREAMS * BATCHES);

  const request = { clusterId: 1, storageNodeId: 3, topicId: 1, logStreamId: 1, epoch: 1 };
  const { epoch } = cluster.replica(1).core;
  for (const uncommitted of [true, false]) {
    const from = { fromLlsn: 1, fromVersion: 1, epoch, uncommitted };
    const stream = cluster
      .connect(1)
      .subscribe(Replication.Fetch, FetchRequest.create({ ...request, ...from }));
    const sizes: number[] = [];
    stream.receive(({ batches }) => {
      sizes.push(batches.length);
    });
    await eventually(() => sizes.reduce((sum, it) => sum + it, 0) === BATCHES);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(TOGETHER_MAX);
    stream.cancel();
    stream.closed.catch(() => {});
  }
}, 180_000);

test('what many log streams are asked for at once is read from the disk one after the other', async () => {
  cluster = await TestCluster.start([1, 2], { cacheBytes: 0 });
  let reading = 0;
  let most = 0;
  const disk = cluster.disks.get(1)!;
  const open = disk.open.bind(disk);
  disk.open = async (path, mode) => {
    const file = await open(path, mode);
    const read = file.read.bind(file);
    file.read = async (offset, length) => {
      most = Math.max(most, ++reading);
      await setImmediate();
      return read(offset, length).finally(() => reading--);
    };
    return file;
  };
  const ids = Array.from({ length: LOG_STREAMS }, (_, i) => i + 1);
  for (const id of ids) {
    cluster.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: [1] });
    await cluster.reopen(id, [1]);
  }
  const appender = cluster.appender(1);
  const batch = batchOf(['x'.repeat(4_000)]);
  const appends = ids.flatMap((logStreamId) =>
    Array.from({ length: 64 }, () => appender.send({ ...batch, logStreamId })),
  );
  for (const it of await Promise.all(appends)) expect(it.failure).toBeNull();

  most = 0;
  const total = LOG_STREAMS * 64;
  const found = await Promise.all(ids.map((id) => cluster.read(1, 1, total, id)));
  for (const it of found) expect(it).toHaveLength(64);
  expect(most).toBe(1);
});
