import fc from 'fast-check';
import type { Disk } from '../base/index.ts';
import { SeededRandom, SimulatedDisk } from '../testing/index.ts';
import { findFrame } from './frame-search.ts';
import { SegmentedLog } from './segmented-log.ts';

const open = (disk: Disk) =>
  SegmentedLog.open({
    disk,
    directory: 'log',
    label: 'a log',
    segmentBytes: 6_000,
    tailCacheBytes: 0,
  });

test('asks for a few frames only, and within one file only, however many there are', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.nat(),
      fc.array(fc.nat(), { maxLength: 200 }),
      async (count, at, cuts) => {
        let reads = 0;
        const within = new Set<number>();
        const starts = [1, ...cuts.map((it) => 1 + (it % count))].sort((a, b) => a - b);
        const log = {
          first: 1,
          starts,
          read: (position: number) => {
            reads++;
            const file = starts.findLast((it) => it <= position)!;
            if (file !== position) within.add(file);
            return [{ position, count: 1, epoch: 1, payload: new Uint8Array() }];
          },
        };
        const wanted = 1 + (at % (count + 1));
        const found = await findFrame(log, count, (it) => it.position >= wanted);
        expect(found?.position).toBe(wanted > count ? undefined : wanted);
        expect(within.size).toBeLessThanOrEqual(1);
        expect(reads).toBeLessThanOrEqual(2 + Math.log2(starts.length) + Math.log2(count) + 2);
      },
    ),
  );
});

test('of a log that was opened again, one file is walked and the others only begun', async () => {
  const disk = new SimulatedDisk({ random: new SeededRandom(1) });
  const made = await open(disk);
  const payload = new Uint8Array(200);
  for (let position = 1; position <= 200; position++) {
    made.append([{ position, count: 1, epoch: 1, timestamp: position, payload }]);
    await made.flush();
  }
  const files = made.starts.length;
  await made.close();
  let reads = 0;
  const counted: Disk = new Proxy(disk, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        const result = await Reflect.apply(value, target, args);
        if (name === 'open') reads++;
        return result;
      };
    },
  });
  const log = await open(counted);
  expect(files).toBeGreaterThan(20);
  reads = 0;
  const found = await findFrame(log, log.end, (it) => (it.timestamp ?? 0) >= 77);
  expect(found?.position).toBe(77);
  // Of the files: about five are begun. In the one that is left, about four places are asked for.
  expect(reads).toBeLessThanOrEqual(12);
  await log.close();
});
