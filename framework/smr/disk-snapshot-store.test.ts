import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { snapshotStoreContract } from '../testing/contracts/index.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SeededRandom } from '../testing/simulator/random.ts';
import { DiskSnapshotStore } from './disk-snapshot-store.ts';
import { type StoredSnapshot, snapshotDirectory } from './index.ts';

async function* inChunks(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function wholeOf(stored: StoredSnapshot | undefined): Promise<Uint8Array | undefined> {
  if (stored === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of stored.chunks) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

const newDisk = (seed: string): SimulatedDisk =>
  new SimulatedDisk({ random: new SeededRandom(seed) });

describe('a store on a disk keeps the contract of all snapshot stores', () => {
  const real = async () => {
    const path = await mkdtemp(join(tmpdir(), 'snapshot-'));
    const close = (): Promise<void> => rm(path, { recursive: true });
    return { store: snapshotDirectory(path), reopen: async () => snapshotDirectory(path), close };
  };
  const simulated = async () => {
    const disk = newDisk('contract');
    const reopen = async () => new DiskSnapshotStore(disk.mount());
    const close = async (): Promise<void> => expect(disk.openFiles).toBe(0);
    return { store: await reopen(), reopen, close };
  };
  describe('a real one', () => {
    for (const { title, run } of snapshotStoreContract(real)) test(title, run);
  });
  describe('a simulated one', () => {
    for (const { title, run } of snapshotStoreContract(simulated)) test(title, run);
  });
});

test('a snapshot that is damaged at any bit is found, at the latest at its end', async () => {
  for (let bit = 0; bit < 8 * 30; bit++) {
    const disk = newDisk(`damage ${bit}`);
    const store = new DiskSnapshotStore(disk);
    await store.save(2 ** 40, inChunks(new Uint8Array(18).fill(7)));
    disk.flipBit('snapshot', bit >> 3, bit & 7);
    const reading = async (): Promise<unknown> => wholeOf(await store.load());
    await expect(reading()).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(disk.openFiles).toBe(0);
  }
  const disk = newDisk('short');
  const store = new DiskSnapshotStore(disk);
  await store.save(1, inChunks(new Uint8Array(20)));
  const file = await disk.open('snapshot', 'existing');
  for (const size of [31, 12, 11, 0]) {
    await file.truncate(size);
    const reading = async (): Promise<unknown> => wholeOf(await store.load());
    await expect(reading()).rejects.toMatchObject({ code: 'CORRUPT' });
  }
});

test('there is the old snapshot or the new one after a crash at any point, and it stays', async () => {
  const state = (n: number): Uint8Array => new Uint8Array(n * 300).fill(n);
  for (let halt = 1; halt < 50; halt++) {
    for (let seed = 1; seed < 5; seed++) {
      const disk = newDisk(`${halt} ${seed}`);
      const halted = disk.haltAt(disk.operationCount + halt);
      let [asked, done] = [0, 0];
      const living = (async () => {
        const store = new DiskSnapshotStore(disk);
        for (asked = 1; asked <= 4; asked++) {
          const bytes = state(asked);
          await store.save(asked, inChunks(bytes.subarray(0, 200), bytes.subarray(200)));
          done = asked;
        }
      })();
      await Promise.race([halted, living]);
      disk.crash(seed < 3 ? 'kill' : 'powerLoss');
      const found = await new DiskSnapshotStore(disk).load();
      expect([asked, done]).toContain(found?.position ?? 0);
      if (found !== undefined) expect(await wholeOf(found)).toEqual(state(found.position));
      disk.crash('powerLoss');
      expect((await new DiskSnapshotStore(disk).load())?.position).toBe(found?.position);
    }
  }
});

test('a snapshot for which there is no room leaves the old one, and takes none', async () => {
  const disk = newDisk('full');
  const store = new DiskSnapshotStore(disk);
  await store.save(1, inChunks(new Uint8Array(100)));
  disk.faults = { capacityBytes: disk.files().reduce((sum, it) => sum + it.size, 50_000) };
  const large = inChunks(...Array.from({ length: 10 }, () => new Uint8Array(10_000)));
  await expect(store.save(2, large)).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect(disk.files().map((it) => it.path)).toEqual(['snapshot']);
  expect((await store.load())?.position).toBe(1);
});

test('a disk that fails is told apart from a state that cannot be encoded', async () => {
  const disk = newDisk('fails');
  const store = new DiskSnapshotStore(disk);
  await store.save(1, inChunks(new Uint8Array(100)));
  disk.faults = { fail: ({ kind }) => (kind === 'sync' ? 'EIO' : undefined) };
  await expect(store.save(2, inChunks(new Uint8Array(9)))).rejects.toMatchObject({
    code: 'DISK_FAILED',
    message: expect.stringContaining('snapshot could not be replaced'),
  });
});

test('a store keeps its id, and gets a new one where that cannot be read', async () => {
  const disk = newDisk('id');
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
