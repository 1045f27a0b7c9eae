import type { DiskFile, Random } from '../../base/index.ts';
import { diskContract } from '../contracts/index.ts';
import { type DiskFaults, SimulatedDisk } from './disk.ts';
import { SECTOR_BYTES } from './file-image.ts';

function seeded(seed: number): Random {
  let x = (seed + 1) * 2654435761;
  const next = (): number => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return x >>> 8;
  };
  return { below: (n) => next() % n, fraction: () => next() / 2 ** 24, id: () => String(next()) };
}

const make = (seed = 1, faults: DiskFaults = {}) =>
  new SimulatedDisk({ random: seeded(seed), faults });
const fill = (byte: number, sectors = 1) => new Uint8Array(sectors * SECTOR_BYTES).fill(byte);

async function content(disk: SimulatedDisk, path: string): Promise<Uint8Array | undefined> {
  if (!disk.files().some((it) => it.path === path)) return undefined;
  const file = await disk.open(path, 'existing');
  return file.read(0, await file.size());
}

async function created(disk: SimulatedDisk, path = 'a'): Promise<DiskFile> {
  const file = await disk.open(path, 'create');
  await disk.syncDirectory('');
  return file;
}

describe('the simulated disk keeps the contract of all disks', () => {
  const tests = diskContract(async () => ({ disk: make(), close: async () => {} }));
  for (const { title, run } of tests) test(title, run);
});

describe('after a power loss', () => {
  test('what was synced is there, under names that were synced', async () => {
    for (let seed = 0; seed < 200; seed++) {
      const disk = make(seed);
      const file = await created(disk);
      await file.write(0, [fill(1, 3)]);
      await file.sync();
      disk.crash('powerLoss');
      expect(await content(disk, 'a')).toEqual(fill(1, 3));
    }
  });

  test('all fates of what was not synced occur, and synced sectors are old or new', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 300; seed++) {
      const disk = make(seed);
      const file = await created(disk);
      await file.write(0, [fill(1, 2)]);
      await file.sync();
      await file.write(0, [fill(2, 6)]);
      disk.crash('powerLoss');
      const found = (await content(disk, 'a'))!;
      const sectors: string[] = [];
      for (let at = 0; at < found.length; at += SECTOR_BYTES) {
        const kinds = new Set(found.subarray(at, at + SECTOR_BYTES));
        sectors.push(kinds.size === 1 ? String([...kinds][0]) : '?');
      }
      for (const sector of sectors.slice(0, 2)) expect(['1', '2']).toContain(sector);
      for (const sector of sectors.slice(2)) seen.add(sector);
      if (sectors.length === 2) seen.add(`nothing of ${sectors}`);
      if (sectors.join('') === '222222') seen.add('everything');
      if (sectors.join('').startsWith('12')) seen.add('out of order');
    }
    expect([...seen]).toEqual(
      expect.arrayContaining(['0', '2', '?', 'nothing of 1,1', 'everything', 'out of order']),
    );
  });

  test('a name that was not synced is there or not, a rename that was not synced is done or not', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 50; seed++) {
      const disk = make(seed);
      const old = await created(disk, 'b');
      await old.write(0, [fill(1)]);
      await old.sync();
      const file = await disk.open('a', 'create');
      await file.write(0, [fill(2)]);
      await file.sync();
      await disk.rename('a', 'b');
      disk.crash('powerLoss');
      const b = (await content(disk, 'b'))!;
      expect([fill(1), fill(2)]).toContainEqual(b);
      seen.add(`${disk.files().length} ${b[0]}`);
    }
    expect([...seen].sort()).toEqual(['1 1', '1 2', '2 1']);
  });

  test('a file in a folder whose name is gone is gone', async () => {
    let lost = 0;
    for (let seed = 0; seed < 50; seed++) {
      const disk = make(seed);
      await disk.open('d/a', 'create');
      await disk.syncDirectory('d');
      disk.crash('powerLoss');
      if (disk.files().length === 0) lost++;
    }
    expect(lost).toBeGreaterThan(5);
    expect(lost).toBeLessThan(45);
  });
});

describe('a crash', () => {
  test('of the process loses nothing that was written', async () => {
    const disk = make();
    const file = await disk.open('d/a', 'create');
    await file.write(0, [fill(1)]);
    disk.crash('kill');
    expect(await content(disk, 'd/a')).toEqual(fill(1));
  });

  test('leaves calls in flight, old handles and old mounts unanswered for ever', async () => {
    const disk = make();
    const mount = disk.mount();
    const file = await mount.open('a', 'create');
    const calls = [file.write(0, [fill(1, 4)])];
    disk.crash('kill');
    calls.push(file.sync(), file.close(), mount.remove('a'));
    const settled = Promise.race(calls.map((it) => it.then(() => 'answered')));
    const later = new Promise((resolve) => setImmediate(resolve, 'silence'));
    expect(await Promise.race([settled, later])).toBe('silence');
    expect(disk.files()).toHaveLength(1);
  });

  test('gives back locks', async () => {
    const disk = make();
    await disk.makeDirectory('d');
    await disk.lock('d');
    disk.crash('kill');
    await (await disk.lock('d')).release();
  });

  test('is the same for the same seed', async () => {
    const run = async (seed: number) => {
      const disk = make(seed);
      const file = await created(disk);
      for (let i = 0; i < 10; i++) await file.write(i * 700, [fill(i, 3)]);
      void file.write(0, [fill(11, 20)]);
      disk.crash('powerLoss');
      return [...((await content(disk, 'a')) ?? [])];
    };
    expect(await run(5)).toEqual(await run(5));
    expect(await run(5)).not.toEqual(await run(6));
  });
});

describe('faults', () => {
  test.each(['lost', 'dirty', 'reverted'] as const)(
    'after a failed sync the pages are %s',
    async (afterFailedSync) => {
      const disk = make(1, { afterFailedSync });
      const file = await created(disk);
      await file.write(0, [fill(1)]);
      disk.faults = { afterFailedSync, fail: ({ kind }) => (kind === 'sync' ? 'EIO' : undefined) };
      await expect(file.sync()).rejects.toMatchObject({ code: 'DISK_FAILED' });
      expect((await file.read(0, 1)).length).toBe(afterFailedSync === 'reverted' ? 0 : 1);
      disk.faults = {};
      await file.sync();
      disk.crash('powerLoss');
      expect((await content(disk, 'a'))!.length).toBe(afterFailedSync === 'dirty' ? 512 : 0);
    },
  );

  test('a failed write has written some part', async () => {
    const sizes = new Set<number>();
    for (let seed = 0; seed < 20; seed++) {
      const disk = make(seed, { fail: ({ kind }) => (kind === 'write' ? 'ENOSPC' : undefined) });
      const file = await disk.open('a', 'create');
      await expect(file.write(0, [fill(1)])).rejects.toMatchObject({ code: 'DISK_FULL' });
      sizes.add(await file.size());
    }
    expect(sizes.size).toBeGreaterThan(5);
  });

  test('a write for which there is no room takes no more than there is', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const disk = make(seed);
      const file = await created(disk);
      await file.write(0, [fill(1)]);
      disk.faults = { capacityBytes: SECTOR_BYTES + 10 };
      const large = file.write(SECTOR_BYTES - 10, [fill(2)]);
      await expect(large).rejects.toMatchObject({ code: 'DISK_FULL' });
      expect(await file.size()).toBeLessThanOrEqual(SECTOR_BYTES + 10);
      await file.write(SECTOR_BYTES - 10, [fill(3).subarray(0, 20)]);
    }
  });

  test('with a clock, operations take time', async () => {
    const rings: [number, () => void][] = [];
    const clock = {
      now: () => 0,
      wall: () => 0,
      defer: () => {},
      after: (ms: number, ring: () => void) => {
        rings.push([ms, ring]);
        return { cancel: () => {} };
      },
    };
    const faults = { latencyMs: () => 30_000 };
    const disk = new SimulatedDisk({ random: seeded(1), clock, faults });
    const opened = disk.open('a', 'create');
    expect(rings.map(([ms]) => ms)).toEqual([30_000]);
    expect(disk.files()).toEqual([]);
    rings[0]![1]();
    await opened;
    expect(disk.files()).toHaveLength(1);
  });

  test('damage: a lost write shows the content before it', async () => {
    const disk = make();
    const file = await created(disk);
    for (const byte of [1, 2]) {
      await file.write(0, [fill(byte, 2)]);
      await file.sync();
    }
    disk.loseSectorWrite('a', 600);
    expect([...(await file.read(511, 2))]).toEqual([2, 1]);
    disk.zeroSector('a', 0);
    disk.misdirectSector('a', 600, 0);
    disk.flipBit('a', 1023, 0);
    const found = (await content(disk, 'a'))!;
    expect([found[0], found[511], found[1022], found[1023]]).toEqual([1, 1, 1, 0]);
  });
});
