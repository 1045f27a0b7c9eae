import fc from 'fast-check';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SeededRandom } from '../testing/simulator/random.ts';
import { frameBytes } from './frame.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { SegmentedLog } from './segmented-log.ts';

const SEGMENT_BYTES = 6_000;

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ append: fc.integer({ min: 1, max: 900 }) }) },
  { weight: 1, arbitrary: fc.record({ trim: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 1, arbitrary: fc.record({ cut: fc.double({ min: 0.5, max: 1, noNaN: true }) }) },
  { weight: 1, arbitrary: fc.constant({ reopen: true }) },
  { weight: 1, arbitrary: fc.constant({ powerLoss: true }) },
);

test('stretches tell how many bytes a log has where, and since when, however it came to be', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(), async (steps, seed) => {
      const machine = new SimulatedDisk({ random: new SeededRandom(seed) });
      const open = () => {
        const disk = machine.mount();
        const segmentBytes = SEGMENT_BYTES;
        return SegmentedLog.open({ disk, directory: 'log', label: 'a log', segmentBytes });
      };
      let log = await open();
      let now = 0;
      let hasLostPower = false;
      const stored = new Map<number, { bytes: number; timestamp: number }>();
      for (const it of steps) {
        if ('append' in it) {
          const payload = new Uint8Array(it.append).fill(1);
          const frame = { position: log.end + 1, count: 1, epoch: 1, timestamp: ++now, payload };
          log.append([frame]);
          await log.flush();
          stored.set(frame.position, { bytes: frameBytes(frame), timestamp: now });
        } else if ('trim' in it) {
          await log.trimHead(log.first + Math.floor(it.trim * (log.end + 1 - log.first)));
        } else if ('cut' in it) {
          const end = log.first - 1 + Math.floor(it.cut * (log.end + 1 - log.first));
          await log.truncateTail(end);
          for (const position of stored.keys()) if (position > end) stored.delete(position);
        } else {
          hasLostPower ||= 'powerLoss' in it;
          if ('powerLoss' in it) machine.crash('powerLoss');
          else await log.close();
          log = await open();
        }
        const stretches = await log.stretches();
        // Without asking a disk; there may be zeros that no orderly end has given back.
        const frames = stretches.reduce((sum, it) => sum + it.bytes, 0);
        const all = now === 0 ? 0 : frames + stretches.length * SEGMENT_HEADER_BYTES;
        if (hasLostPower) expect(log.bytes).toBeGreaterThanOrEqual(all);
        else expect(log.bytes).toBe(all);
        expect(stretches[0]!.first).toBeLessThanOrEqual(log.first);
        for (const [i, { first, bytes, since }] of stretches.entries()) {
          const end = (stretches[i + 1]?.first ?? log.end + 1) - 1;
          let due = 0;
          for (let position = first; position <= end; position++) {
            due += stored.get(position)!.bytes;
          }
          expect({ first, bytes, since }).toEqual({
            first,
            bytes: due,
            since: due === 0 ? 0 : stored.get(first)!.timestamp,
          });
        }
      }
      await log.close();
    }),
    { numRuns: 60 },
  );
});
