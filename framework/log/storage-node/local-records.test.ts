import { VarlogError } from '../../base/index.ts';
import { SegmentedLog } from '../../store/index.ts';
import { SeededRandom, SimulatedDisk } from '../../testing/index.ts';
import { LocalRecords } from './local-records.ts';
import { recordSourceContract } from './record-source.fixture.ts';

/** An offset in a segment that is in its first batch. */
const BEHIND_HEADER = 4_096 + 1_000;

async function open(
  tailCacheBytes: number,
  fromDisk = async <T>(read: () => T | Promise<T>): Promise<T> => read(),
) {
  const disk = new SimulatedDisk({ random: new SeededRandom(1) });
  const records = await SegmentedLog.open({
    disk,
    directory: 'log',
    label: 'a log',
    segmentBytes: 6_000,
    tailCacheBytes,
  });
  const append = async (count: number, payload: Uint8Array, timestamp = 0): Promise<void> => {
    records.append([{ position: records.end + 1, count, epoch: 1, timestamp, payload }]);
    await records.flush();
  };
  return { disk, records, append, source: new LocalRecords(records, fromDisk) };
}

for (const [name, tailCacheBytes] of [
  ['what is in memory', 1024 * 1024],
  ['what is on the disk', 0],
  ['what is partly in memory', 4_500],
] as const) {
  recordSourceContract(name, async () => {
    const { records, append, source } = await open(tailCacheBytes);
    return {
      source,
      append,
      trim: (first) => records.trimHead(first),
      close: () => records.close(),
    };
  });
}

test('what the disk does not give as it was stored is an error, which is heard of', async () => {
  const heard: unknown[] = [];
  const { disk, records, append, source } = await open(0, async (read) =>
    Promise.resolve(read()).catch((error: unknown) => {
      heard.push(error);
      throw error;
    }),
  );
  await append(1, new Uint8Array(2_000).fill(7));
  const [file] = await disk.list('log');
  disk.flipBit(`log/${file}`, BEHIND_HEADER);
  await expect(source.read(1, 1_000)).rejects.toMatchObject({ code: 'CORRUPT' });
  await expect(source.firstSince(1, 1)).rejects.toMatchObject({ code: 'CORRUPT' });
  expect(heard.map((it) => VarlogError.is(it, 'CORRUPT'))).toEqual([true, true]);
  await records.close();
});
