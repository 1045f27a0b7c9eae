import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { snapshotStoreContract } from '../testing/contracts/index.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SeededRandom } from '../testing/simulator/random.ts';
import { DiskSnapshotStore } from './disk-snapshot-store.ts';
import { snapshotDirectory } from './index.ts';

describe('a store on a disk keeps the contract of all snapshot stores', () => {
  const real = async () => {
    const path = await mkdtemp(join(tmpdir(), 'snapshot-'));
    const close = (): Promise<void> => rm(path, { recursive: true });
    return { store: snapshotDirectory(path), reopen: async () => snapshotDirectory(path), close };
  };
  const simulated = async () => {
    const disk = new SimulatedDisk({ random: new SeededRandom('contract') });
    const reopen = async () => new DiskSnapshotStore(disk.mount());
    return { store: await reopen(), reopen, close: async () => {} };
  };
  describe('a real one', () => {
    for (const { title, run } of snapshotStoreContract(real)) test(title, run);
  });
  describe('a simulated one', () => {
    for (const { title, run } of snapshotStoreContract(simulated)) test(title, run);
  });
});

test('a stored snapshot comes back, the newest one, and damage is found', async () => {
  const path = await mkdtemp(join(tmpdir(), 'snapshot-'));
  try {
    expect(await snapshotDirectory(path).load()).toBeUndefined();
    await snapshotDirectory(path).save(7, new Uint8Array([1, 2, 3, 4]));
    await snapshotDirectory(path).save(9, new Uint8Array([5]));
    const loaded = await snapshotDirectory(path).load();
    expect(loaded?.position).toBe(9);
    expect([...(loaded?.state ?? [])]).toEqual([5]);
    await appendFile(join(path, 'snapshot'), 'x');
    await expect(snapshotDirectory(path).load()).rejects.toMatchObject({ code: 'CORRUPT' });
  } finally {
    await rm(path, { recursive: true });
  }
});

test('there is the old snapshot or the new one after a crash at any point, and it stays', async () => {
  const state = (n: number): Uint8Array => new Uint8Array(n * 300).fill(n);
  for (let halt = 1; halt < 40; halt++) {
    for (let seed = 1; seed < 5; seed++) {
      const disk = new SimulatedDisk({ random: new SeededRandom(`${halt} ${seed}`) });
      const halted = disk.haltAt(disk.operationCount + halt);
      let [asked, done] = [0, 0];
      const living = (async () => {
        const store = new DiskSnapshotStore(disk);
        for (asked = 1; asked <= 4; asked++) {
          await store.save(asked, state(asked));
          done = asked;
        }
      })();
      await Promise.race([halted, living]);
      disk.crash(seed < 3 ? 'kill' : 'powerLoss');
      const found = await new DiskSnapshotStore(disk).load();
      expect([asked, done]).toContain(found?.position ?? 0);
      if (found !== undefined) expect(found.state).toEqual(state(found.position));
      disk.crash('powerLoss');
      expect((await new DiskSnapshotStore(disk).load())?.position).toBe(found?.position);
    }
  }
});

test('a snapshot for which there is no room leaves the old one, and takes none', async () => {
  const disk = new SimulatedDisk({ random: new SeededRandom('full') });
  const store = new DiskSnapshotStore(disk);
  await store.save(1, new Uint8Array(100));
  disk.faults = { capacityBytes: disk.files().reduce((sum, it) => sum + it.size, 0) };
  await expect(store.save(2, new Uint8Array(100_000))).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect(disk.files().map((it) => it.path)).toEqual(['snapshot']);
  expect((await store.load())?.position).toBe(1);
});

test('a store keeps its id, and gets a new one where that cannot be read', async () => {
  const disk = new SimulatedDisk({ random: new SeededRandom('id') });
  const store = new DiskSnapshotStore(disk);
  expect(await store.id('a')).toBe('a');
  expect(await store.id('b')).toBe('a');
  expect(await new DiskSnapshotStore(disk).id('c')).toBe('a');
  const file = await disk.open('id', 'existing');
  await file.truncate(0);
  await file.close();
  expect(await store.id('d')).toBe('d');
  expect(await store.load()).toBeUndefined();
});
