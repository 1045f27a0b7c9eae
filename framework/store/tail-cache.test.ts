import { type Frame, frameEnd } from './frame.ts';
import { CacheBudget, TailCache } from './tail-cache.ts';

const frame = (position: number, bytes: number): Frame => ({
  position,
  count: 1,
  epoch: 1,
  payload: new Uint8Array(bytes),
});

function add(cache: TailCache, from: number, count: number, bytes: number): void {
  for (let i = 0; i < count; i++) {
    const it = frame(from + i, bytes);
    cache.push(it);
    cache.evict(frameEnd(it));
  }
}

test('forty logs share one budget, and the one that is idle longest gives way first', () => {
  const budget = new CacheBudget(1_000_000);
  const caches = Array.from({ length: 40 }, () => new TailCache(16_000_000, budget));
  for (const cache of caches) add(cache, 1, 20, 10_000);
  expect(budget.bytes).toBeLessThanOrEqual(1_000_000);
  expect(caches[0]!.read(20, 20, 1)).toBeUndefined();
  expect(caches[39]!.read(1, 20, 1)).toHaveLength(1);
  // One alone may have all of it.
  add(caches[0]!, 21, 200, 10_000);
  expect(budget.bytes).toBeLessThanOrEqual(1_000_000);
  expect(caches[0]!.first).toBeLessThan(135);
  for (const cache of caches) cache.close();
  expect(budget.bytes).toBe(0);
});

test('what is not written yet is kept, whatever the budget says', () => {
  const budget = new CacheBudget(1_000);
  const one = new TailCache(16_000_000, budget);
  const other = new TailCache(16_000_000, budget);
  one.push(frame(1, 5_000));
  one.evict(0);
  add(other, 1, 5, 5_000);
  expect(one.read(1, 1, 1)).toHaveLength(1);
  expect(other.first).toBe(Number.POSITIVE_INFINITY);
});

test('a buffer that frames share counts once, for as long as one of them is there', () => {
  const budget = new CacheBudget(1_000_000);
  const cache = new TailCache(16_000_000, budget);
  const buffer = new Uint8Array(30_000);
  const empty = budget.bytes;
  for (let i = 0; i < 3; i++) {
    cache.push({ ...frame(i + 1, 0), payload: buffer.subarray(i * 10_000, (i + 1) * 10_000) });
  }
  cache.push(frame(4, 10_000));
  const objects = budget.bytes - 40_000;
  expect(objects).toBeGreaterThan(0);
  expect(objects).toBeLessThan(10_000);
  cache.trim(3);
  expect(budget.bytes).toBeGreaterThan(40_000);
  cache.trim(4);
  expect(budget.bytes).toBeLessThan(20_000);
  cache.cut(3);
  expect(budget.bytes).toBe(empty);
});

test('so it does when the newest are cut off', () => {
  const budget = new CacheBudget(1_000_000);
  const cache = new TailCache(16_000_000, budget);
  const buffer = new Uint8Array(30_000);
  for (let i = 0; i < 3; i++) {
    cache.push({ ...frame(i + 1, 0), payload: buffer.subarray(i * 10_000, (i + 1) * 10_000) });
  }
  cache.cut(1);
  expect(budget.bytes).toBeGreaterThan(30_000);
  cache.cut(0);
  expect(budget.bytes).toBe(0);
});
