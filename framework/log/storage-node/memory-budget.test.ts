import { batchOf, eventually, TestCluster } from './cluster.fixture.ts';
import { MemoryBudget } from './memory-budget.ts';
import { PendingAppends } from './pending-appends.ts';

const sink = { acknowledge: () => {}, fail: () => {} };
const arrived = { sequence: 0, sink, arrivedAt: 0, receipt: false };
const untimed = { cameAt: 0, wireMs: 0, cut: undefined, isReplicated: false };

test('appends of all log streams that wait to be ordered share one bound', () => {
  const budget = new MemoryBudget({ cacheBytes: 1_000, pendingBytes: 10_000 });
  const streams = Array.from({ length: 40 }, () => new PendingAppends(budget));
  for (let llsn = 1; llsn <= 10; llsn++) {
    for (const pending of streams) {
      if (!budget.hasRoomFor(500, pending.bytes)) continue;
      pending.add({ arrived, restsOn: 0, llsn, count: 1, bytes: 500 });
    }
  }
  expect(budget.pendingBytes).toBeGreaterThan(9_000);
  expect(budget.pendingBytes).toBeLessThanOrEqual(11_000);
  for (const pending of streams) pending.committed(1, 1, 10, untimed);
  expect([budget.pendingBytes, budget.hasRoomFor(500, 0)]).toEqual([0, true]);
});

test('one log stream that is stuck leaves room for the others', () => {
  const budget = new MemoryBudget({ cacheBytes: 1_000, pendingBytes: 256 * 1024 * 1024 });
  const megabyte = 1024 * 1024;
  expect(budget.hasRoomFor(megabyte, 63 * megabyte)).toBe(true);
  expect(budget.hasRoomFor(megabyte, 64 * megabyte)).toBe(false);
});

test('an append that is larger than what may wait is taken when nothing waits', () => {
  const budget = new MemoryBudget({ pendingBytes: 1_000 });
  const pending = new PendingAppends(budget);
  expect(budget.hasRoomFor(5_000, 0)).toBe(true);
  pending.add({ arrived, restsOn: 0, llsn: 1, count: 1, bytes: 5_000 });
  expect(budget.hasRoomFor(1, 0)).toBe(false);
});

test('what all replicas of a node have fetched and not written shares one bound', async () => {
  const fetchedBytes = 1024 * 1024;
  const cluster = await TestCluster.start([1, 2, 3], { fetchedBytes });
  try {
    const ids = Array.from({ length: 8 }, (_, i) => i + 1);
    for (const id of ids) {
      cluster.apply({ kind: 'registerLogStream', id, topicId: 1, replicas: [1, 2, 3] });
      await cluster.reopen(id, [1, 2, 3]);
    }
    // What is appended there waits for room.
    cluster.disks.get(2)!.faults = { capacityBytes: 0 };
    const batch = batchOf(['x'.repeat(256 * 1024)]);
    const bytes = batch.records.length;
    const each = 12;
    const appender = cluster.appender(1);
    for (let i = 0; i < each; i++) {
      await Promise.all(ids.map((logStreamId) => appender.send({ ...batch, logStreamId })));
    }
    const unwritten = (): number =>
      ids.reduce((sum, id) => sum + cluster.replica(2, id).storage.records.pendingBytes, 0);
    const ends = (node: number): number[] => ids.map((id) => cluster.replica(node, id).core.end);
    await eventually(() => unwritten() > fetchedBytes);
    await eventually(() => ends(3).every((it) => it === each));
    // Each replica has taken one message at least, and none another one behind the bound.
    const messageBytes = 1024 * 1024 + bytes;
    expect(unwritten()).toBeLessThan(fetchedBytes + ids.length * messageBytes);
    cluster.disks.get(2)!.faults = {};
    await eventually(() => ends(2).every((it) => it === each));
  } finally {
    await cluster.close();
  }
}, 180_000);
