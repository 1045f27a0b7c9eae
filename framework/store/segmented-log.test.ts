import fc from 'fast-check';
import type { Disk, VarlogError } from '../base/index.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { crc32c } from './crc32c.ts';
import type { Frame } from './frame.ts';
import { SegmentedLog } from './segmented-log.ts';
import type { SegmentedLogOptions } from './segmented-log-options.ts';

const zero = { below: () => 0, fraction: () => 0, id: () => 'id' };

function setup(options: Partial<SegmentedLogOptions> = {}) {
  const disk = new SimulatedDisk({ random: zero });
  const open = () =>
    SegmentedLog.open({
      disk,
      directory: 'log',
      label: 'a log',
      segmentBytes: 6000,
      ...options,
    });
  return { disk, open };
}

let serial = 0;
/** Frames that continue a log at `position`; no two are alike. */
function frames(position: number, sizes: readonly { count: number; bytes: number }[]): Frame[] {
  let next = position;
  return sizes.map(({ count, bytes }) => {
    const payload = new Uint8Array(bytes).fill(++serial);
    const frame = { position: next, count, epoch: serial, payload };
    next += count;
    return frame;
  });
}

const one = (position: number, bytes = 10) => frames(position, [{ count: 1, bytes }]);

/** Everything from `from` on, read in steps. */
async function readAll(log: SegmentedLog, from = log.first, bytesMax = 1000): Promise<Frame[]> {
  const found: Frame[] = [];
  for (let next = from; next <= log.end; ) {
    const step = await log.read(next, bytesMax);
    found.push(...step);
    next = step.at(-1)!.position + step.at(-1)!.count;
  }
  return found;
}

const plain = (given: readonly Frame[]) =>
  given.map(
    (it) => `${it.position}+${it.count} ${it.epoch} ${it.payload.length} ${crc32c(it.payload)}`,
  );

type Step =
  | { kind: 'append'; sizes: { count: number; bytes: number }[]; sync: boolean }
  | { kind: 'flush' | 'settle' | 'reopen' | 'kill' }
  | { kind: 'cut' | 'trim' | 'reset' | 'read'; at: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      sizes: fc.array(
        fc.record({
          count: fc.integer({ min: 1, max: 5 }),
          bytes: fc.constantFrom(0, 1, 80, 900, 40_000),
        }),
        { minLength: 1, maxLength: 12 },
      ),
      sync: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('flush', 'settle', 'reopen', 'kill') }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('cut', 'trim', 'reset', 'read', 'read'),
      at: fc.double({ min: 0, max: 0.999, noNaN: true }),
    }),
  },
) as fc.Arbitrary<Step>;

/** The same log as an array. */
class Model {
  frames: Frame[] = [];
  first = 1;
  get end(): number {
    const last = this.frames.at(-1);
    return last === undefined ? this.first - 1 : last.position + last.count - 1;
  }
  trim(first: number): void {
    this.first = first;
    this.frames = this.frames.filter((it) => it.position + it.count > first);
  }
}

async function run(log: SegmentedLog, model: Model, it: Step, promises: Promise<unknown>[]) {
  if (it.kind === 'append') {
    const added = frames(model.end + 1, it.sizes);
    log.append(added, { sync: it.sync });
    model.frames.push(...added);
  } else if (it.kind === 'flush') {
    promises.push(log.flush().catch((error) => expect(error.code).toBe('CANCELLED')));
  } else if (it.kind === 'cut') {
    const keep = Math.floor(it.at * (model.frames.length + 1));
    const kept = model.frames.slice(0, keep);
    const last = kept.at(-1);
    const end = last === undefined ? model.first - 1 : last.position + last.count - 1;
    if (end < model.first - 1) return;
    // A frame that the head was trimmed into cannot be cut off alone.
    if (last === undefined && (model.frames[0]?.position ?? model.first) < model.first) return;
    promises.push(log.truncateTail(end));
    model.frames = kept;
  } else if (it.kind === 'trim') {
    const first = model.first + Math.floor(it.at * (model.end + 2 - model.first));
    promises.push(log.trimHead(first));
    model.trim(first);
  } else if (it.kind === 'reset' && it.at > 0.7) {
    const first = 1 + Math.floor(it.at * 50);
    promises.push(log.reset(first));
    model.frames = [];
    model.first = first;
  } else if (it.kind === 'read' && model.end >= model.first) {
    const from = model.first + Math.floor(it.at * (model.end + 1 - model.first));
    const got = plain(await readAll(log, Math.min(from, model.end)));
    const want = model.frames.filter((f) => f.position + f.count > Math.min(from, model.end));
    expect(got).toEqual(plain(want));
  } else if (it.kind === 'settle') {
    await Promise.all(promises.splice(0));
  }
}

describe('a segmented log', () => {
  test('behaves like an array, whatever is done to it, also when opened again', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.constantFrom(0, 500, 1e6),
        async (steps, tailCacheBytes) => {
          const { disk, open } = setup({ tailCacheBytes });
          const model = new Model();
          let log = await open();
          const promises: Promise<unknown>[] = [];
          for (const it of steps) {
            await run(log, model, it, promises);
            expect([log.first, log.end]).toEqual([model.first, model.end]);
            expect(log.durableEnd).toBeLessThanOrEqual(log.end);
            if (it.kind !== 'reopen' && it.kind !== 'kill') continue;
            await Promise.all(promises.splice(0));
            await log.flush();
            expect([log.durableEnd, log.pendingBytes]).toEqual([log.end, 0]);
            if (it.kind === 'kill') disk.crash('kill');
            else await log.close();
            expect(disk.openFiles).toBe(0);
            log = await open();
          }
          await Promise.all(promises);
          expect(plain(await readAll(log))).toEqual(plain(model.frames));
          await log.close();
          expect(disk.openFiles).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('what is appended while one group is being synced leaves as one group', async () => {
    const { disk, open } = setup({ segmentBytes: 1e6 });
    const log = await open();
    const reported: number[] = [];
    log.onDurable((end) => reported.push(end));
    log.append(one(1));
    await log.flush();
    const kinds: string[] = [];
    disk.onOperation = ({ kind }) => {
      kinds.push(kind);
      if (kinds.length === 1) for (let i = 4; i <= 10; i++) log.append(one(i));
    };
    log.append(one(2));
    log.append(one(3));
    await log.flushed(3);
    await log.flush();
    expect(kinds).toEqual(['write', 'sync', 'write', 'sync']);
    expect(reported).toEqual([1, 3, 10]);
  });

  test('frames that may wait gather in memory until something is flushed, or they are many', async () => {
    const { disk, open } = setup();
    const log = await open();
    log.append(one(1));
    await log.flush();
    const kinds: string[] = [];
    disk.onOperation = ({ kind }) => kinds.push(kind);
    const settled = () => new Promise((resolve) => setImmediate(resolve));
    log.append(one(2), { sync: false });
    log.append(one(3), { sync: false });
    await settled();
    expect([kinds, log.durableEnd, log.read(2, 1)]).toEqual([
      [],
      1,
      [expect.objectContaining({ position: 2 })],
    ]);
    await log.flush();
    expect([kinds, log.durableEnd]).toEqual([['write', 'sync'], 3]);
    kinds.length = 0;
    disk.onOperation = ({ kind }) => {
      if (kinds.push(kind) === 1) log.append(one(5), { sync: false });
    };
    log.append(one(4));
    await log.flushed(4);
    await settled();
    expect([kinds, log.durableEnd]).toEqual([['write', 'sync'], 4]);
    for (let i = 6; log.durableEnd === 4; i++) {
      expect(log.pendingBytes).toBeLessThan(100_000);
      log.append(one(i), { sync: false });
      if (i % 100 === 0) await settled();
    }
    await log.close();
    const again = await open();
    expect(again.end).toBe(log.end);
  });

  test('a log to which nothing was written has no file, whatever else is asked of it', async () => {
    const { disk, open } = setup();
    const log = await open();
    await log.flush();
    await log.truncateTail(0);
    await log.trimHead(1);
    expect([await log.stretches(), log.starts, log.newestSegment]).toEqual([
      [{ first: 1, bytes: 0, since: 0 }],
      [],
      1,
    ]);
    await log.close();
    expect(disk.files()).toEqual([]);
    const again = await open();
    await again.reset(7);
    again.append(one(7));
    await again.close();
    disk.crash('powerLoss');
    expect((await open()).end).toBe(7);
  });

  test('one that does not stay open has no file open between uses', async () => {
    const { disk } = setup();
    let files = 0;
    const counted: Disk = Object.create(disk);
    counted.open = async (...args) => {
      const file = await disk.open(...args);
      const close = file.close.bind(file);
      files++;
      file.close = () => {
        files--;
        return close();
      };
      return file;
    };
    const options = { disk: counted, directory: 'log', label: 'a log', staysOpen: false };
    const log = await SegmentedLog.open(options);
    for (let i = 1; i <= 3; i++) {
      log.append(one(i));
      await log.flush();
      await new Promise((resolve) => setImmediate(resolve));
      expect(files).toBe(0);
    }
    await log.close();
    const again = await SegmentedLog.open(options);
    expect([files, again.end]).toEqual([0, 3]);
  });

  test('the newest frames are read without asking the disk', async () => {
    const { disk, open } = setup({ tailCacheBytes: 3_500 });
    const log = await open();
    for (let i = 1; i <= 20; i++) log.append(one(i, 100));
    await log.flush();
    disk.onOperation = () => {
      throw new Error('the disk was asked');
    };
    expect(plain(log.read(19, 1000) as Frame[])).toHaveLength(2);
    expect(log.read(21, 1000)).toEqual([]);
    expect(log.read(18, 1) as Frame[]).toHaveLength(1);
    disk.onOperation = () => {};
    expect((await log.read(1, 250)).map((it) => it.position)).toEqual([1, 2]);
  });

  test('positions that were trimmed are refused, also after it is opened again', async () => {
    const { open } = setup();
    const log = await open();
    log.append(
      frames(1, [
        { count: 5, bytes: 10 },
        { count: 5, bytes: 10 },
      ]),
    );
    await log.trimHead(3);
    expect(() => log.read(2, 100)).toThrow(/TRIMMED/);
    await log.close();
    const again = await open();
    expect([again.first, again.end]).toEqual([3, 10]);
    expect((await again.read(3, 1))[0]!.position).toBe(1);
    try {
      await again.read(2, 1);
    } catch (error) {
      expect(error).toMatchObject({ code: 'TRIMMED', details: { firstAvailable: 3 } });
    }
  });

  test('a read that a cut, a trim or a reset overtakes shows what is there now', async () => {
    const { open } = setup({ tailCacheBytes: 0 });
    const log = await open();
    log.append([1, 2, 3, 4].flatMap((i) => one(i)));
    await log.flush();
    const cut = log.read(1, 1000);
    const done = log.truncateTail(2);
    log.append(one(3, 33));
    expect((await cut).map((it) => it.payload.length)).toEqual([10, 10]);
    await done;
    const trim = log.read(1, 1000) as Promise<Frame[]>;
    await Promise.all([log.trimHead(3), expect(trim).rejects.toThrow(/TRIMMED/)]);
    const reset = log.read(3, 1000) as Promise<Frame[]>;
    await Promise.all([log.reset(9), expect(reset).rejects.toThrow(/TRIMMED/)]);
  });

  test('trimming frees whole files', async () => {
    const { disk, open } = setup();
    const log = await open();
    for (let i = 1; i <= 50; i++) log.append(one(i, 1000));
    await log.flush();
    expect(disk.files().length).toBeGreaterThan(20);
    await log.trimHead(51);
    expect(disk.files().length).toBe(2);
  });

  test('a folder with another log is refused, and both are named', async () => {
    const { open, disk } = setup();
    const log = await open();
    log.append(one(1));
    await log.close();
    const other = SegmentedLog.open({ disk, directory: 'log', label: 'another log' });
    await expect(other).rejects.toMatchObject({
      code: 'IDENTITY_MISMATCH',
      message: expect.stringMatching(/"a log".*"another log"/),
    });
    expect(disk.openFiles).toBe(0);
  });

  test('a frame that does not continue the log is a bug, and nothing is stored', async () => {
    const { open } = setup();
    const log = await open();
    expect(() => log.append([...one(1), ...one(3)])).toThrow(/INVARIANT/);
    expect([log.end, log.pendingBytes]).toEqual([0, 0]);
  });

  test('cutting inside a frame is a bug, and ends the log', async () => {
    const { open } = setup();
    const log = await open();
    log.append(frames(1, [{ count: 5, bytes: 10 }]));
    await log.flush();
    await expect(log.truncateTail(3)).rejects.toThrow(/INVARIANT/);
    expect(() => log.append(one(4))).toThrow(/INVARIANT/);
  });

  test('a closed log takes nothing more; closing twice is fine', async () => {
    const { open } = setup();
    const log = await open();
    log.append(one(1));
    const closing = log.close();
    expect(() => log.append(one(2))).toThrow(/CLOSED/);
    await Promise.all([closing, log.close()]);
    expect(() => log.read(1, 10)).toThrow(/CLOSED/);
    expect((await open()).end).toBe(1);
  });

  test('positions cut off while they were written are not reported durable', async () => {
    const { disk, open } = setup();
    const log = await open();
    log.append(one(1));
    await log.flush();
    const reported: number[] = [];
    log.onDurable((end) => reported.push(end));
    let replaced: Promise<void> | undefined;
    disk.onOperation = ({ kind }) => {
      if (kind !== 'sync' || replaced !== undefined) return;
      replaced = log.truncateTail(1);
      log.append(frames(2, [{ count: 1, bytes: 33 }]));
    };
    log.append(frames(2, [{ count: 5, bytes: 10 }]));
    const lost = log.flushed(6);
    await expect(lost).rejects.toThrow(/CANCELLED/);
    await replaced;
    await log.flush();
    expect(reported).toEqual([2]);
    expect((await readAll(log)).map((it) => it.payload.length)).toEqual([10, 33]);
  });
});

describe.each(['EIO', 'EROFS'] as const)('when the disk fails with %s', (errno) => {
  test.each(['write', 'sync'] as const)('in %s, the log is failed for good', async (kind) => {
    const failures: VarlogError[] = [];
    const { disk, open } = setup({ onFailure: (error) => failures.push(error) });
    const log = await open();
    log.append(one(1));
    await log.flush();
    let failed = 0;
    disk.faults = { fail: (it) => (it.kind === kind && failed++ === 0 ? errno : undefined) };
    log.append(one(2));
    const cut = log.truncateTail(2).catch((error) => error);
    log.append(one(3));
    await expect(log.flush()).rejects.toMatchObject({ code: 'DISK_FAILED', outcome: 'unknown' });
    expect((await cut).code).toBe('DISK_FAILED');
    expect(() => log.append(one(log.end + 1))).toThrow(/DISK_FAILED/);
    expect(() => log.truncateTail(1)).toThrow(/DISK_FAILED/);
    await expect(log.flushed(2)).rejects.toThrow(/DISK_FAILED/);
    expect(failures).toHaveLength(1);
    expect([log.durableEnd, failed]).toEqual([1, 1]);
    expect(await log.read(1, 100)).toHaveLength(1);
    expect(await log.read(2, 100)).toEqual([]);
    await log.close();
    expect(disk.openFiles).toBe(0);
  });
});
