import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SegmentedLog } from './segmented-log.ts';

test('most small writes of a small log prepare nothing, and each has prepared space behind it', async () => {
  const disk = new SimulatedDisk({ random: { below: () => 0, fraction: () => 0, id: () => 'id' } });
  const log = await SegmentedLog.open({
    disk,
    directory: 'log',
    label: 'a log',
    segmentBytes: 1024 * 1024,
  });
  const written: number[] = [];
  disk.onOperation = ({ kind, bytes }) => {
    if (kind === 'write') written.push(bytes!);
  };
  const least: number[] = [];
  for (let position = 1; position <= 200; position++) {
    log.append([{ position, count: 1, epoch: 1, payload: new Uint8Array(200).fill(7) }]);
    await log.flush();
    least.push(disk.files().find(({ path }) => path.endsWith('.segment'))!.size - log.bytes);
  }
  expect(written.filter((bytes) => bytes > 1024).length).toBeLessThan(20);
  expect(Math.min(...least.slice(1))).toBeGreaterThanOrEqual(8 * 1024);
  await log.close();
});
