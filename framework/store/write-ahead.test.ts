import type { Disk, DiskFile, VarlogError } from '../base/index.ts';
import { diskContract } from '../testing/contracts/index.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { type DiskFaults, SimulatedDisk } from '../testing/simulator/disk.ts';
import { DirectoryIdentity } from './directory-identity.ts';
import { firstFailure } from './first-failure.fixture.ts';
import { openLog, type State, seeded, Witness } from './witness.fixture.ts';
import { WriteAheadDisk, type WriteAheadMark } from './write-ahead-disk.ts';
import { WriteAheadFile } from './write-ahead-file.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 100);
const LOGS = ['d/a', 'd/b', 'd/c'];
/** What goes ahead lies in what a log has prepared, and it prepares a few KiB. */
const SEGMENT_BYTES = 64 * 1024;
const NOT_SETTLED = 'what is durable in the write-ahead log cannot be brought to its files';
const OWNER = { clusterId: 1, nodeId: 1, kind: 'storage node' };

/** With a small write-ahead log, so that its files take many turns, and everything that may goes ahead. */
async function openAhead(
  disk: Disk,
  options: {
    togetherMin?: number;
    fileBytes?: number;
    log?: (event: string) => void;
    mark?: WriteAheadMark;
  } = {},
): Promise<WriteAheadDisk> {
  const mark = options.mark ?? (await DirectoryIdentity.claim(disk, 'd', OWNER, 'a disk'));
  const clock = new ManualClock();
  const logger = { log: (_level: string, event: string) => options.log?.(event) };
  const { togetherMin = 1, fileBytes = 4096 } = options;
  const label = 'a disk';
  return WriteAheadDisk.open({
    disk,
    clock,
    logger,
    folder: 'd',
    label,
    mark,
    onFailure: (path) => options.log?.(`${path} failed`),
    togetherMin,
    fileBytes,
  });
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = async (file: DiskFile, from = 0, length = 100): Promise<string> =>
  new TextDecoder().decode(await file.read(from, length));

/** A file that has room, on a disk that has a write-ahead log. */
async function prepared(disk: SimulatedDisk, path = 'd/f') {
  const events: string[] = [];
  const ahead = await openAhead(disk, { log: (event) => events.push(event) });
  const file = await ahead.open(path, 'create');
  await file.writeDurably(0, [bytes('.'.repeat(100))]);
  // It is made beside the first writes.
  while (!(await disk.list('d/write-ahead')).includes('1'))
    await file.writeDurably(99, [bytes('.')]);
  for (let i = 0; i < 50; i++) await Promise.resolve();
  const writes: string[] = [];
  disk.onOperation = ({ kind, path: at }) => writes.push(`${kind} ${at}`);
  return { ahead, file, writes, events };
}

describe('a disk with a write-ahead log', () => {
  const tests = diskContract(async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    let hasWriteAhead = false;
    const mark = {
      get hasWriteAhead() {
        return hasWriteAhead;
      },
      setHasWriteAhead: async (has: boolean) => {
        hasWriteAhead = has;
      },
    };
    return { disk: await openAhead(disk, { mark }), close: async () => {} };
  });
  for (const { title, run } of tests) test(title, run);

  test('writes of many files are durable with one write', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const { ahead, writes } = await prepared(disk);
    const paths = ['d/1', 'd/2', 'd/3', 'd/4'];
    const files = await Promise.all(paths.map((it) => ahead.open(it, 'create')));
    for (const file of files) await file.write(0, [bytes('.'.repeat(100))]);
    writes.length = 0;
    await Promise.all(files.map((it, i) => it.writeDurably(10 * i, [bytes(`file ${i}`)])));
    expect(writes.filter((it) => it.startsWith('write'))).toEqual(['write d/write-ahead/0']);
    for (const [i, file] of files.entries()) expect(await text(file, 10 * i, 6)).toBe(`file ${i}`);
  });

  test('a single one is written in its own place', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const ahead = await openAhead(disk, { togetherMin: 2 });
    const file = await ahead.open('d/f', 'create');
    await file.write(0, [bytes('.'.repeat(100))]);
    for (let i = 0; i < 10; i++) await file.writeDurably(i, [bytes('x')]);
    expect(await disk.list('d')).not.toContain('write-ahead');
  });

  test('after a crash all of it is there, and an older version refuses the folder until then', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const { file } = await prepared(disk);
    await file.writeDurably(0, [bytes('one')]);
    await file.writeDurably(3, [bytes('two')]);
    disk.crash('powerLoss');
    const plain = await disk.open('d/f', 'read');
    expect(await text(plain, 0, 6)).toBe('......');
    const ahead = await openAhead(disk);
    expect(await text(await ahead.open('d/f', 'read'), 0, 6)).toBe('onetwo');
    expect(await disk.list('d')).toEqual(['f', 'identity']);
  });

  test('once it is closed, there is no write-ahead log', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const { ahead, file } = await prepared(disk);
    await file.writeDurably(0, [bytes('one')]);
    await file.close();
    await ahead.close();
    disk.crash('powerLoss');
    expect(await text(await disk.open('d/f', 'read'), 0, 4)).toBe('one.');
    expect(await disk.list('d')).toEqual(['f', 'identity']);
  });

  test.each(['truncated', 'removed and made again', 'replaced'])(
    'what was in a file that was %s is not written again',
    async (how) => {
      const disk = new SimulatedDisk({ random: seeded(1) });
      const { ahead, file } = await prepared(disk);
      await file.writeDurably(0, [bytes('old')]);
      if (how === 'truncated') await file.truncate(0);
      else if (how === 'replaced') {
        const other = await ahead.open('d/other', 'create');
        await other.write(0, [bytes('new')]);
        await other.sync();
        await ahead.rename('d/other', 'd/f');
      } else await ahead.remove('d/f');
      const again = await ahead.open('d/f', 'create');
      await again.write(0, [bytes('new')]);
      await again.sync();
      await ahead.syncDirectory('d');
      disk.crash('powerLoss');
      expect(await text(await (await openAhead(disk)).open('d/f', 'read'))).toBe('new');
    },
  );

  test('what is written in the place of something that went ahead stays', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const { file } = await prepared(disk);
    await file.writeDurably(0, [bytes('old')]);
    await file.write(0, [bytes('n')]);
    await file.writeDurably(1, [bytes('ew')]);
    await file.sync();
    expect(await text(file, 0, 4)).toBe('new.');
    disk.crash('powerLoss');
    expect(await text(await (await openAhead(disk)).open('d/f', 'read'), 0, 4)).toBe('new.');
  });

  test('what makes a file grow is written in its own place: nothing else needs room', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const { file, writes } = await prepared(disk);
    await file.writeDurably(98, [bytes('xyz')]);
    await file.writeDurably(98, [bytes('abc')]);
    expect(writes.filter((it) => it.startsWith('write'))).toEqual([
      'write d/f',
      'write d/write-ahead/0',
    ]);
  });

  test('a file that is removed while the write-ahead log settles it is no failure', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const file = new WriteAheadFile(
      disk,
      { path: 'd/f', name: bytes('f') },
      { freed: () => {}, failed: () => {} },
    );
    await file.forget();
    await expect(file.settle()).resolves.toBeUndefined();
  });

  test.each(['opened', 'moved there'])(
    'a file that is %s in the place of one that was taken away gets nothing of that',
    async (how) => {
      const disk = new SimulatedDisk({ random: seeded(1) });
      const { ahead, file, events } = await prepared(disk);
      await file.writeDurably(0, [bytes('old')]);
      await file.close();
      await disk.remove('d/f');
      const path = how === 'opened' ? 'd/f' : 'd/other';
      const other = await ahead.open(path, 'create');
      await other.write(3, [bytes('new')]);
      await other.sync();
      if (how !== 'opened') await ahead.rename('d/other', 'd/f');
      await ahead.syncDirectory('d');
      expect(await text(await ahead.open('d/f', 'existing'))).toBe('\0\0\0new');
      disk.crash('powerLoss');
      expect(await text(await (await openAhead(disk)).open('d/f', 'read'))).toBe('\0\0\0new');
      expect(events).toEqual([]);
    },
  );

  test('a folder that is moved takes along what was written in it', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    await disk.makeDirectory('d/x');
    const { ahead, file } = await prepared(disk, 'd/x/f');
    await file.writeDurably(0, [bytes('one')]);
    await file.close();
    await ahead.rename('d/x', 'd/y');
    await ahead.syncDirectory('d');
    disk.crash('powerLoss');
    expect(await text(await (await openAhead(disk)).open('d/y/f', 'read'), 0, 4)).toBe('one.');
  });

  test.each([0, 1])('without file %i of the write-ahead log nothing is opened', async (which) => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const { file } = await prepared(disk);
    await file.writeDurably(0, [bytes('one')]);
    disk.crash('powerLoss');
    disk.loseFile(`d/write-ahead/${which}`);
    const error = await openAhead(disk).catch((it: unknown) => it);
    expect(error).toMatchObject({ code: 'CORRUPT' });
    expect((error as VarlogError).message).toContain(`d/write-ahead/${which}`);
  });

  test('damage before the last write is found', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const { file } = await prepared(disk);
    for (let i = 0; i < 5; i++) await file.writeDurably(i, [bytes('x')]);
    disk.crash('powerLoss');
    disk.flipBit('d/write-ahead/0', 40);
    await expect(openAhead(disk)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  test('the write-ahead log of another folder is refused', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const { file } = await prepared(disk);
    await file.writeDurably(0, [bytes('one')]);
    disk.crash('powerLoss');
    const mark = { hasWriteAhead: true, setHasWriteAhead: async () => {} };
    const [clock, logger] = [new ManualClock(), { log: () => {} }];
    const other = {
      disk,
      clock,
      logger,
      folder: 'd',
      label: 'another disk',
      mark,
      onFailure: () => {},
    };
    await expect(WriteAheadDisk.open(other)).rejects.toMatchObject({ code: 'IDENTITY_MISMATCH' });
  });

  test('where there is no room for a write-ahead log, everything is written in its own place', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const events: string[] = [];
    const ahead = await openAhead(disk, { log: (event) => events.push(event) });
    const file = await ahead.open('d/f', 'create');
    await file.write(0, [bytes('.'.repeat(100))]);
    disk.faults = { capacityBytes: 5000 };
    for (let i = 0; i < 20; i++) await file.writeDurably(i, [bytes('x')]);
    disk.crash('powerLoss');
    expect(await text(await disk.open('d/f', 'read'), 0, 21)).toBe(`${'x'.repeat(20)}.`);
    expect(await disk.list('d')).toEqual(['f', 'identity']);
    expect(events).toEqual(['no write-ahead log can be made']);
  });

  test('where the disk has no room for what the log should have, it is written in its own place', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const { file } = await prepared(disk);
    disk.faults = { fail: ({ path }) => (path === 'd/write-ahead/0' ? 'ENOSPC' : undefined) };
    await file.writeDurably(0, [bytes('one')]);
    disk.crash('powerLoss');
    disk.faults = {};
    expect(await text(await (await openAhead(disk)).open('d/f', 'read'), 0, 4)).toBe('one.');
  });

  test.each(['ENOSPC', 'EIO'] as const)(
    'a log whose mark cannot be written (%s) is not used',
    async (errno) => {
      const disk = new SimulatedDisk({ random: seeded(1) });
      const ahead = await openAhead(disk);
      const file = await ahead.open('d/f', 'create');
      await file.write(0, [bytes('.'.repeat(100))]);
      await file.sync();
      await disk.syncDirectory('d');
      disk.faults = { fail: ({ path }) => (path === 'd/identity.new' ? errno : undefined) };
      for (let i = 0; i < 20; i++) await file.writeDurably(i, [bytes('x')]);
      expect(await disk.list('d')).toHaveLength(errno === 'EIO' ? 3 : 2);
      disk.faults = {};
      disk.crash('powerLoss');
      const again = await (await openAhead(disk)).open('d/f', 'read');
      expect(await text(again, 0, 21)).toBe(`${'x'.repeat(20)}.`);
    },
  );

  test('a file that cannot be made durable keeps what it has in the write-ahead log', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const { file, events } = await prepared(disk);
    const fails: DiskFaults['fail'] = ({ kind, path }) =>
      kind === 'sync' && path === 'd/f' ? 'EIO' : undefined;
    disk.faults = { fail: fails };
    for (let i = 0; i < 99; i++) {
      await file.writeDurably(i, [bytes('x')]);
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    }
    expect(events).toEqual(['d/f failed', NOT_SETTLED]);
    disk.faults = {};
    disk.crash('powerLoss');
    const found = await text(await (await openAhead(disk)).open('d/f', 'read'), 0, 99);
    expect(found).toBe('x'.repeat(99));
  });

  test('what a sync lost is written once more before the next one', async () => {
    const disk = new SimulatedDisk({ random: seeded(1), faults: { afterFailedSync: 'lost' } });
    const { ahead, file } = await prepared(disk);
    await file.writeDurably(0, [bytes('one')]);
    let failed = false;
    const once: DiskFaults['fail'] = ({ kind, path }) => {
      if (failed || kind !== 'sync' || path !== 'd/f') return undefined;
      failed = true;
      return 'EIO';
    };
    disk.faults = { ...disk.faults, fail: once };
    await expect(file.truncate(50)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    await file.truncate(50);
    await file.sync();
    await file.close();
    await ahead.close();
    disk.crash('powerLoss');
    expect(await text(await disk.open('d/f', 'read'), 0, 4)).toBe('one.');
  });

  test('a file that has failed can be put aside', async () => {
    const disk = new SimulatedDisk({ random: seeded(1) });
    const { ahead, file } = await prepared(disk);
    await file.writeDurably(0, [bytes('old')]);
    disk.faults = {
      fail: ({ kind, path }) => (kind === 'sync' && path === 'd/f' ? 'EIO' : undefined),
    };
    await expect(ahead.rename('d/f', 'd/aside')).rejects.toMatchObject({ code: 'DISK_FAILED' });
    await file.close();
    await ahead.rename('d/f', 'd/aside');
    disk.faults = {};
    const again = await ahead.open('d/f', 'create');
    await again.write(0, [bytes('new')]);
    await again.sync();
    await ahead.syncDirectory('d');
    disk.crash('powerLoss');
    expect(await text(await (await openAhead(disk)).open('d/f', 'read'))).toBe('new');
  });
});

/** Three logs on one disk: work, crash, recover and check, again and again. */
async function liveAndDie(seed: number, faults: DiskFaults = {}): Promise<void> {
  const random = seeded(seed);
  const disk = new SimulatedDisk({ random, faults });
  const states = LOGS.map((): State => ({ first: 1, frames: [] }));
  const witnesses: (Witness | undefined)[] = LOGS.map(() => undefined);
  const options = {
    togetherMin: 1 + random.below(3),
    fileBytes: [1024, 3072, 65536][random.below(3)]!,
  };
  const begin = async (ahead: Disk, i: number): Promise<Witness> => {
    const log = await openLog(ahead, LOGS[i], SEGMENT_BYTES);
    states[i] = (await witnesses[i]?.check(log)) ?? states[i]!;
    const witness = new Witness(log, states[i], random);
    witnesses[i] = witness;
    return witness;
  };
  for (let life = 0; life < 5; life++) {
    const halted = disk.haltAt(disk.operationCount + 1 + random.below(1_000));
    const living = (async () => {
      const ahead = await openAhead(disk.mount(), options);
      const all = await Promise.all(LOGS.map((_, i) => begin(ahead, i)));
      await Promise.all(all.map((it) => it.work(100)));
      if (random.below(2) > 0) return;
      await Promise.all(all.map((it) => it.log.close()));
      await ahead.close();
    })();
    await Promise.race([halted, living]);
    disk.crash(random.below(3) === 0 ? 'kill' : 'powerLoss');
  }
  const ahead = await openAhead(disk.mount(), options);
  for (const [i, it] of witnesses.entries())
    await it?.check(await openLog(ahead, LOGS[i], SEGMENT_BYTES));
}

describe('logs on a disk with a write-ahead log, after a crash', () => {
  test('what was reported durable is there, and nothing that never was', async () => {
    expect(await firstFailure(SEEDS, liveAndDie)).toBeUndefined();
  }, 120_000);

  test('a disk that lies is found out', async () => {
    const faults: DiskFaults = { lies: new Set(['sync']) };
    expect(await firstFailure(200, (seed) => liveAndDie(seed, faults))).toBeDefined();
  }, 120_000);
});
