import { VarlogError } from '../base/index.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { crc32c } from './crc32c.ts';
import { type Frame, frameBytes } from './frame.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { SegmentedLog } from './segmented-log.ts';

const always = { below: () => 0, fraction: () => 0, id: () => 'id' };

const open = (disk: SimulatedDisk) =>
  SegmentedLog.open({ disk, directory: 'log', label: 'a log', segmentBytes: 8000 });

const frame = (position: number, bytes: number, epoch = 1): Frame => ({
  position,
  count: 1,
  epoch,
  payload: Uint8Array.from({ length: bytes }, (_, i) => (position * 31 + epoch * 7 + i) & 0xff),
});

async function readAll(log: SegmentedLog): Promise<string[]> {
  const found: string[] = [];
  for (let next = log.first; next <= log.end; ) {
    for (const it of await log.read(next, 500)) {
      found.push(`${it.position} ${it.epoch} ${crc32c(it.payload)}`);
      next = it.position + 1;
    }
  }
  return found;
}

/** A log of several files, each frame synced separately. */
async function written(end: 'closed' | 'killed', frames = 30) {
  const disk = new SimulatedDisk({ random: always });
  const log = await open(disk);
  for (let i = 1; i <= frames; i++) {
    log.append([frame(i, 200 + ((i * 137) % 500))]);
    await log.flush();
  }
  const contents = await readAll(log);
  if (end === 'closed') await log.close();
  disk.crash('kill');
  return { disk, contents };
}

/** What a log reads as: its contents, or the code of the error. */
async function outcome(disk: SimulatedDisk): Promise<string[] | string> {
  try {
    const log = await open(disk);
    const contents = await readAll(log);
    await log.close();
    expect(disk.openFiles).toBe(0);
    return contents;
  } catch (error) {
    if (!VarlogError.is(error)) throw error;
    return error.code;
  }
}

const injuries: [string, (disk: SimulatedDisk, path: string, offset: number) => void][] = [
  ['a bit flips', (disk, path, offset) => disk.flipBit(path, offset, offset % 8)],
  ['a sector is lost', (disk, path, offset) => disk.zeroSector(path, offset)],
  ['a write is lost', (disk, path, offset) => disk.loseSectorWrite(path, offset)],
  ['a write goes astray', (disk, path, offset) => disk.misdirectSector(path, 4608, offset)],
];

describe.each(injuries)('when %s', (name, injure) => {
  test.each(['closed', 'killed'] as const)(
    'in a log that was %s, it is an error, wherever it is',
    async (end) => {
      const { disk, contents } = await written(end);
      const files = disk.files();
      expect(files.length).toBeGreaterThan(4);
      const seen = new Set<string>();
      for (const { path, size } of files) {
        for (let offset = 0; offset < size; offset += 61) {
          const copy = disk.clone(always);
          injure(copy, path, offset);
          const result = await outcome(copy);
          if (typeof result === 'string') {
            expect(result).toBe('CORRUPT');
            seen.add('error');
          } else if (result.length === contents.length) {
            expect(result).toEqual(contents);
          } else {
            // The newest group cannot be told from the torn end of a write, unless the log was
            // closed; a sector may hold the end of the one before as well.
            expect([end, result]).toEqual(['killed', contents.slice(0, result.length)]);
            expect(contents.length - result.length).toBeLessThanOrEqual(
              name === 'a bit flips' ? 1 : 2,
            );
            seen.add('cut');
          }
        }
      }
      expect([...seen].sort()).toEqual(end === 'killed' ? ['cut', 'error'] : ['error']);
    },
    60_000,
  );
});

test.each(['closed', 'killed'] as const)(
  'any file that vanishes from a log that was %s is missed',
  async (end) => {
    const { disk } = await written(end);
    for (const { path } of disk.files().slice(0, -1)) {
      const copy = disk.clone(always);
      copy.loseFile(path);
      expect([path, await outcome(copy)]).toEqual([path, 'CORRUPT']);
    }
  },
);

test('the error names file, offset and position', async () => {
  const { disk } = await written('closed', 5);
  const path = disk.files()[0]!.path;
  disk.flipBit(path, SEGMENT_HEADER_BYTES + 60);
  await expect(open(disk)).rejects.toMatchObject({
    code: 'CORRUPT',
    details: { path: `/${path}`, offset: SEGMENT_HEADER_BYTES, position: 1 },
  });
  expect(disk.openFiles).toBe(0);
});

test.each<[string, RegExp, (disk: SimulatedDisk, path: string) => void]>([
  ['a header', /0001\.segment$/, (disk, path) => disk.flipBit(path, 8)],
  ['a frame', /0001\.segment$/, (disk, path) => disk.flipBit(path, SEGMENT_HEADER_BYTES + 60)],
  ['a frame of the newest segment', /\.segment$/, (disk, path) => disk.flipBit(path, 4200)],
  ['a segment that is lost', /0001\.segment$/, (disk, path) => disk.loseFile(path)],
  ['a state', /state$/, (disk, path) => disk.flipBit(path, 20)],
  ['a state that is lost', /state$/, (disk, path) => disk.loseFile(path)],
])('the owner of a log says what is to be done about %s', async (_, name, harm) => {
  const { disk } = await written('closed');
  harm(disk, disk.files().findLast((it) => name.test(it.path))!.path);
  const place = { disk, directory: 'log', label: 'a log', segmentBytes: 8000 };
  const opened = SegmentedLog.open({ ...place, remedy: 'ask its owner' }).then(readAll);
  await expect(opened).rejects.toMatchObject({
    code: 'CORRUPT',
    message: expect.stringMatching(/; ask its owner\.$/),
  });
});

test('an intact frame of an earlier life of the file is not taken for a new one', async () => {
  const disk = new SimulatedDisk({ random: always });
  const log = await open(disk);
  log.append([1, 2, 3].map((i) => frame(i, 700)));
  await log.flush();
  const { path } = disk.files()[0]!;
  const offset = SEGMENT_HEADER_BYTES + 2 * frameBytes(frame(1, 700));
  let old = new Uint8Array();
  disk.damage(path, (bytes) => {
    old = bytes.slice(offset, offset + frameBytes(frame(1, 700)));
  });
  await log.truncateTail(1);
  log.append([2, 3].map((i) => frame(i, 700, 2)));
  await log.flush();
  log.append([frame(4, 700, 2)]);
  await log.flush();
  await log.close();
  disk.damage(path, (bytes) => bytes.set(old, offset));
  expect(await outcome(disk)).toBe('CORRUPT');
});

test.each([
  ['one behind it says that more was synced', 3, 'CORRUPT'],
  ['none does: it is the torn end', 2, ['1 1']],
])(
  'a frame that is damaged where nothing before it says that it was synced: %s',
  async (_, frames, expected) => {
    const { disk } = await written('killed', frames);
    const { path } = disk.files().find((it) => it.path.endsWith('segment'))!;
    disk.flipBit(path, SEGMENT_HEADER_BYTES + frameBytes(frame(1, 200 + (137 % 500))) + 60);
    const found = await outcome(disk);
    const short = typeof found === 'string' ? found : found.map((it) => it.replace(/ \d+$/, ''));
    expect(short).toEqual(expected);
  },
);

test.each<[string, (disk: SimulatedDisk, a: string, b: string) => Promise<void>]>([
  ['one in the middle is missing', (disk, a) => disk.remove(a)],
  [
    'two have changed their names',
    async (disk, a, b) => {
      await disk.rename(a, 'aside');
      await disk.rename(b, a);
      await disk.rename('aside', b);
    },
  ],
])('a log is not opened where of its older files %s', async (_, harm) => {
  const { disk } = await written('closed');
  const segments = disk.files().filter((it) => it.path.endsWith('segment'));
  expect(segments.length).toBeGreaterThan(3);
  const [, a, b] = segments.map((it) => it.path).sort();
  await harm(disk, a!, b!);
  await expect(open(disk)).rejects.toMatchObject({ code: 'CORRUPT' });
});

test('what lay behind a torn end does not come back, not even behind the frame that was missing', async () => {
  const disk = new SimulatedDisk({ random: always });
  const log = await open(disk);
  log.append([frame(1, 700)]);
  await log.flush();
  log.append([2, 3].map((i) => frame(i, 700)));
  await log.flush();
  disk.crash('kill');
  const { path } = disk.files()[0]!;
  disk.flipBit(path, SEGMENT_HEADER_BYTES + frameBytes(frame(1, 700)) + 60);
  const again = await open(disk);
  expect(again.end).toBe(1);
  again.append([frame(2, 700)]);
  await again.flush();
  disk.crash('kill');
  expect((await open(disk)).end).toBe(2);
});

test('a payload that looks like a frame behind the end does not keep a log from opening', async () => {
  const disk = new SimulatedDisk({ random: always });
  const inner = await written('closed', 3);
  let image = new Uint8Array();
  inner.disk.damage(inner.disk.files()[0]!.path, (bytes) => {
    image = bytes.slice(SEGMENT_HEADER_BYTES);
  });
  const log = await SegmentedLog.open({ disk, directory: 'log', label: 'another log' });
  log.append([{ position: 1, count: 1, epoch: 1, payload: image }]);
  await log.flush();
  disk.crash('kill');
  disk.flipBit(disk.files()[0]!.path, SEGMENT_HEADER_BYTES);
  const again = await SegmentedLog.open({ disk, directory: 'log', label: 'another log' });
  expect(again.end).toBe(0);
});

test.each(['lost', 'dirty', 'reverted'] as const)(
  'a sync that failed and left pages %s is not trusted by the next process',
  async (afterFailedSync) => {
    const disk = new SimulatedDisk({ random: always, faults: { afterFailedSync } });
    const log = await open(disk);
    log.append([frame(1, 100)]);
    await log.flush();
    disk.faults = { afterFailedSync, fail: ({ kind }) => (kind === 'sync' ? 'EIO' : undefined) };
    log.append([frame(2, 100)]);
    await expect(log.flush()).rejects.toThrow(/DISK_FAILED/);
    disk.crash('kill');
    disk.faults = { afterFailedSync };
    const { durableEnd } = await open(disk);
    expect(durableEnd).toBe(afterFailedSync === 'reverted' ? 1 : 2);
    disk.crash('powerLoss');
    expect((await open(disk)).end).toBe(durableEnd);
  },
);
