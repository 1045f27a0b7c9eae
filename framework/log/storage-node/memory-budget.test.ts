import { MemoryBudget } from './memory-budget.ts';
import { PendingAppends } from './pending-appends.ts';

const sink = { acknowledge: () => {}, fail: () => {} };

test('appends of all log streams that wait to be ordered share one bound', () => {
  const budget = new MemoryBudget({ cacheBytes: 1_000, pendingBytes: 10_000 });
  const streams = Array.from({ length: 40 }, () => new PendingAppends(budget));
  let taken = 0;
  for (let llsn = 1; llsn <= 10; llsn++) {
    for (const pending of streams) {
      if (!budget.hasRoomFor(500, pending.bytes)) continue;
      pending.add({ llsn, count: 1, bytes: 500, sequence: taken++, sink });
    }
  }
  expect(budget.pendingBytes).toBeGreaterThan(9_000);
  expect(budget.pendingBytes).toBeLessThanOrEqual(11_000);
  for (const pending of streams) pending.committed(1, 1, 10);
  expect([budget.pendingBytes, budget.hasRoomFor(500, 0)]).toEqual([0, true]);
});

test('one log stream that is stuck leaves room for the others', () => {
  const budget = new MemoryBudget({ cacheBytes: 1_000, pendingBytes: 256 * 1024 * 1024 });
  const megabyte = 1024 * 1024;
  expect(budget.hasRoomFor(megabyte, 63 * megabyte)).toBe(true);
  expect(budget.hasRoomFor(megabyte, 64 * megabyte)).toBe(false);
});
