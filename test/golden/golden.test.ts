import fc from 'fast-check';
import { glsn, llsn } from '../../framework/base/index.ts';
import { EntryBatch } from '../../framework/log/index.ts';
import { realPorts } from '../../framework/runtime/index.ts';
import { crc32c } from '../../framework/store/crc32c.ts';
import type { SegmentedLog } from '../../framework/store/index.ts';
import { SeededRandom, SimulatedDisk } from '../../framework/testing/index.ts';
import { type Files, filesOf, loadGolden, putOn } from './golden-files.ts';
import { openLog, type Sample, samples } from './samples.ts';

const { clock } = realPorts({ directory: __dirname });
const newDisk = (): SimulatedDisk => new SimulatedDisk({ random: new SeededRandom(1) });
const versions = samples.flatMap((sample) =>
  [...sample.older, sample.version].map((version) => ({ name: sample.name, version, sample })),
);

async function diskWith(files: Files): Promise<SimulatedDisk> {
  const disk = newDisk();
  await putOn(disk, files);
  return disk;
}

test.each(versions)('version $version of $name is read', async ({ sample, version }) => {
  const disk = await diskWith(loadGolden(__dirname, sample.name, version));
  expect(await sample.read(disk, clock)).toEqual(sample.content(version));
  expect(disk.openFiles).toBe(0);
});

test.each(samples)('$name is written as version $version has it, byte for byte', async (sample) => {
  const disk = newDisk();
  await sample.write(disk, clock);
  expect(asHex(await filesOf(disk))).toEqual(
    asHex(loadGolden(__dirname, sample.name, sample.version)),
  );
});

test.each([0, 1])(
  'of a stored batch of version %i, a reader sees payloads, keys and headers',
  (version) => {
    const bytes = loadGolden(__dirname, 'batch', version).get('batch')!;
    const place = {
      ...{ cluster: 'a cluster', topic: 1, logStream: 1, timestamp: 1 },
      ...{ glsn: glsn(1), llsn: llsn(1) },
    };
    const entries = new EntryBatch(place, { count: 3, bytes }).entries();
    const seen = entries.map((it) => [it.text(), it.key, it.headers.toJSON()]);
    const headers = [
      ['content-type', 'text/plain'],
      ['ünicode', ''],
    ];
    expect(seen).toEqual([
      ['a record', version === 0 ? undefined : 'a key', []],
      ['', undefined, []],
      ['the last one', undefined, version === 0 ? [] : headers],
    ]);
  },
);

describe('a log of the first version', () => {
  const added = { position: 8, count: 2, epoch: 8, timestamp: 9, payload: new Uint8Array([1]) };

  test('goes on in files of the newest, and keeps its own as they are', async () => {
    const golden = loadGolden(__dirname, 'log', 1);
    const disk = await diskWith(golden);
    const log = await openLog(disk);
    log.append([added]);
    await log.close();
    const files = await filesOf(disk);
    for (const [name, bytes] of golden) {
      if (name === 'state') continue;
      const now = files.get(name)!;
      expect(Buffer.compare(now, bytes.subarray(0, now.length))).toBe(0);
      // What was prepared for later frames is given back.
      expect(bytes.subarray(now.length).every((it) => it === 0)).toBe(true);
    }
    expect([...files.keys()]).toHaveLength(golden.size + 1);
    expect(await positionsOf(disk)).toEqual([1, 3, 4, 7, 8]);
  });

  test.each([0, 6, 7])('goes on when it was cut behind %i', async (end) => {
    const disk = await diskWith(loadGolden(__dirname, 'log', 1));
    const log = await openLog(disk);
    await log.truncateTail(end);
    log.append([{ ...added, position: end + 1 }]);
    await log.close();
    const kept = [1, 3, 4, 7].filter((it) => it <= end);
    expect(await positionsOf(disk)).toEqual([...kept, end + 1]);
    const last = await openLog(disk);
    last.append([{ ...added, position: end + 3 }]);
    await last.close();
    expect(await positionsOf(disk)).toEqual([...kept, end + 1, end + 3]);
  });
});

describe('what a later version wrote', () => {
  // An export and the snapshot of a machine are streams of bytes: their own tests change them.
  const streams = ['batch', 'export', 'machine-snapshot'];
  const withFiles = samples.filter((it) => !streams.includes(it.name));

  test.each(withFiles)('is refused and stays as it is: $name', async (sample) => {
    const golden = loadGolden(__dirname, sample.name, sample.version);
    const places = [...golden].flatMap(([path, bytes]) => laterIn(path, bytes));
    expect(places.length).toBeGreaterThan(0);
    const change = fc.record({
      place: fc.constantFrom(...places),
      to: fc.integer({ min: 3, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ place, to }) => {
        const later = new Map(golden);
        later.set(place.path, place.change(new Uint8Array(golden.get(place.path)!), to));
        await expectRefusal(sample, later, place.path);
      }),
    );
  });

  test.each([1, 2])('is refused in a log of version %i', async (version) => {
    const golden = new Map(loadGolden(__dirname, 'log', version));
    const [path, bytes] = [...golden].find(([name]) => name.endsWith('.segment'))!;
    golden.set(
      path,
      resummed(new Uint8Array(bytes), 0, 4096, (view) => view.setUint32(8, 3, true)),
    );
    await expectRefusal(samples[0]!, golden, path);
  });
});

/** Opening must fail, name the file, and leave every byte of every file where it was. */
async function expectRefusal(sample: Sample, files: Files, path: string): Promise<void> {
  // A process of the later version died while it replaced the file.
  const remains = path.endsWith('.segment') ? [] : [[`${path}.new`, new Uint8Array(9)] as const];
  const disk = await diskWith(new Map([...files, ...remains]));
  const before = await filesOf(disk);
  await expect(sample.read(disk, clock)).rejects.toMatchObject({
    code: 'FORMAT_UNKNOWN',
    message: expect.stringContaining(path),
  });
  expect(asHex(await filesOf(disk))).toEqual(asHex(before));
  expect(disk.openFiles).toBe(0);
}

interface Later {
  readonly path: string;
  change(bytes: Uint8Array, to: number): Uint8Array;
}

/** The places where a file says of what version it is, or what one must know to read it. */
function laterIn(path: string, bytes: Uint8Array): Later[] {
  // Texts, which say nothing of themselves.
  if (['id', 'd/one', 'd/other'].includes(path)) return [];
  if (path.includes('/write-ahead/')) return laterBlocks(path, bytes);
  const stateFile = Buffer.from(bytes).toString('latin1', 4, 7) === 'VRS';
  if (!path.endsWith('.segment') && !stateFile) return [leadingNumber(path, 4)];
  if (!path.endsWith('.segment')) {
    const places: Later[] = [
      {
        path,
        change: (of, to) =>
          resummed(of, 0, of.length, (view) => view.setUint8(7, to === 0x31 ? 0x32 : to)),
      },
    ];
    const valueAt = 16 + viewOf(bytes).getUint32(8, true);
    if (path === 'snapshot') places.push(leadingNumber(path, valueAt));
    if (path === 'hard-state' || path.endsWith('/state')) places.push(longerValue(path));
    return places;
  }
  const places: Later[] = [
    { path, change: (of, to) => resummed(of, 0, 4096, (view) => view.setUint32(8, to, true)) },
  ];
  const view = viewOf(bytes);
  for (let at = 4096; at + 60 <= bytes.length && view.getUint8(at + 8) === 2; ) {
    const [begin, end] = [at, at + 60 + view.getUint32(at + 20, true)];
    for (const field of [8, 10]) {
      const change: Later['change'] = (of, to) =>
        resummed(of, begin, end, (frame) => frame.setUint8(field, to));
      places.push({ path, change });
    }
    at = end;
  }
  return places;
}

/** The version of a block is the last byte of its magic. */
function laterBlocks(path: string, bytes: Uint8Array): Later[] {
  const places: Later[] = [];
  const view = viewOf(bytes);
  for (let at = 0; view.getUint32(at + 4, true) !== 0; ) {
    const [begin, end] = [at, at + 32 + view.getUint32(at + 12, true)];
    const change: Later['change'] = (of, to) =>
      resummed(of, begin, end, (block) => block.setUint8(7, to === 0x31 ? 0x32 : to));
    places.push({ path, change });
    at = end;
  }
  return places;
}

/** A later version marks the number at which its layout begins. */
function leadingNumber(path: string, offset: number): Later {
  const mark = (view: DataView, to: number): void => {
    view.setUint8(offset, to);
    view.setUint8(offset + 7, 0xff);
  };
  return { path, change: (of, to) => resummed(of, 0, of.length, (view) => mark(view, to)) };
}

/** A later version has more to say in a state file. */
function longerValue(path: string): Later {
  return {
    path,
    change: (of, to) =>
      resummed(of, 0, of.length + to, (view) => {
        view.setUint32(12, view.getUint32(12, true) + to, true);
      }),
  };
}

const viewOf = (of: Uint8Array): DataView => new DataView(of.buffer, of.byteOffset, of.byteLength);

/** Changes what lies between two offsets, and makes the checksum at the first of them right. */
function resummed(
  bytes: Uint8Array,
  from: number,
  to: number,
  change: (view: DataView) => void,
): Uint8Array {
  const whole = new Uint8Array(Math.max(bytes.length, to));
  whole.set(bytes);
  const view = new DataView(whole.buffer, from, to - from);
  change(view);
  view.setUint32(0, crc32c(whole, from + 4, to), true);
  return whole;
}

async function positionsOf(disk: SimulatedDisk): Promise<number[]> {
  const log: SegmentedLog = await openLog(disk);
  const found: number[] = [];
  for (let next = log.first; next <= log.end; ) {
    for (const it of await log.read(next, 1)) {
      found.push(it.position);
      next = it.position + it.count;
    }
  }
  await log.close();
  return found;
}

function asHex(files: Files): Record<string, string> {
  return Object.fromEntries(
    [...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString('hex')]),
  );
}
