import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { crc32c } from './crc32c.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { SegmentedLog } from './segmented-log.ts';
import { StateFile } from './state-file.ts';

const always = { below: () => 0, fraction: () => 0, id: () => 'id' };
const NEWER = { code: 'FORMAT_UNKNOWN', message: expect.stringContaining('upgrade') };

let disk: SimulatedDisk;
let file: string;
const open = () => SegmentedLog.open({ disk, directory: 'log', label: 'a log' });

beforeEach(async () => {
  disk = new SimulatedDisk({ random: always });
  const log = await open();
  for (const text of ['one', 'two', 'three']) {
    const payload = new TextEncoder().encode(text);
    log.append([{ position: log.end + 1, count: 1, epoch: 1, payload }]);
  }
  await log.flush();
  await log.close();
  file = `log/${(await disk.list('log')).find((it) => it.endsWith('.segment'))!}`;
});

const bytesOf = async (path: string): Promise<Uint8Array> => {
  const found = await disk.open(path, 'existing');
  const bytes = Uint8Array.from(await found.read(0, await found.size()));
  await found.close();
  return bytes;
};

/** Writes what a later version may have: the checksum, in front, holds from `from` to `to`. */
async function rewrite(
  from: number,
  to: number,
  change: (bytes: Uint8Array) => void,
): Promise<void> {
  const bytes = await bytesOf(file);
  change(bytes);
  new DataView(bytes.buffer).setUint32(from, crc32c(bytes, from + 4, to), true);
  const written = await disk.open(file, 'existing');
  await written.write(0, [bytes]);
  await written.sync();
  await written.close();
}

/** It is refused, as often as it is tried, and left as it is. */
async function refusedAndKept(): Promise<void> {
  const before = await bytesOf(file);
  for (let i = 0; i < 2; i++) {
    await expect(open()).rejects.toMatchObject(NEWER);
    expect(Buffer.from(await bytesOf(file)).equals(before)).toBe(true);
  }
  expect(disk.openFiles).toBe(0);
}

test('a segment of a later version', async () => {
  await rewrite(0, SEGMENT_HEADER_BYTES, (bytes) => {
    bytes[8] = 9;
  });
  await refusedAndKept();
});

const frames: [string, number, number][] = [
  ['of a later version', 8, 3],
  ['with a flag that only a later version knows', 10, 0x40],
];
test.each(frames)('a frame %s', async (_, at, value) => {
  const first = SEGMENT_HEADER_BYTES;
  const bytes = await bytesOf(file);
  const view = new DataView(bytes.buffer);
  const end = first + view.getUint8(first + 9) + view.getUint32(first + 20, true);
  await rewrite(first, end, (it) => {
    it[first + at] = value;
  });
  await refusedAndKept();
});

test('a state of a later version', async () => {
  const state = await StateFile.open(disk, 'log/state', 'a log', {
    encode: (it: Uint8Array) => it,
    decode: (it) => it,
  });
  await state.write(Uint8Array.of(...state.value!, 0));
  await refusedAndKept();
});
