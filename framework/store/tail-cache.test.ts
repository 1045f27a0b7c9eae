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
