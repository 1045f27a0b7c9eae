import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstValueFrom } from 'rxjs';
import { objectStoreContract, snapshotStoreContract } from '../testing/contracts/index.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SeededRandom } from '../testing/simulator/random.ts';
import { DiskObjectStore } from './disk-object-store.ts';
import { type ObjectStore, objectDirectory, sharedSnapshots, startReplica } from './index.ts';
import { TrimmedLog } from './trimmed-log.fixture.ts';
import { WordCounts } from './word-counts.fixture.ts';

const onDisk = async () => {
  const path = await mkdtemp(join(tmpdir(), 'objects-'));
  const close = (): Promise<void> => rm(path, { recursive: true });
  return { store: objectDirectory(path), reopen: async () => objectDirectory(path), close };
};
const simulated = (seed = 'objects') => {
  const disk = new SimulatedDisk({ random: new SeededRandom(seed) });
  const reopen = async () => new DiskObjectStore(disk.mount());
  const close = async (): Promise<void> => expect(disk.openFiles).toBe(0);
  return { disk, store: new DiskObjectStore(disk), reopen, close };
};

describe('objects in a folder keep the contract of all object stores', () => {
  describe('a real one', () => {
    for (const { title, run } of objectStoreContract(onDisk)) test(title, run);
  });
  describe('a simulated one', () => {
    for (const { title, run } of objectStoreContract(async () => simulated())) test(title, run);
  });
});

describe('a store that is shared keeps the contract of all snapshot stores', () => {
  const make = async () => {
    const { store, reopen, close } = simulated();
    const shared = (it: DiskObjectStore) => sharedSnapshots(it, 'words');
    return { store: shared(store), reopen: async () => shared(await reopen()), close };
  };
  for (const { title, run } of snapshotStoreContract(make)) test(title, run);
});

test.each(['', 'a/b', 'x'.repeat(65)])('"%s" is no name for one', (name) => {
  const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
  expect(() => sharedSnapshots(simulated().store, name)).toThrow(refused);
});

describe('replicas that share a store', () => {
  const start = (objects: DiskObjectStore, log: TrimmedLog, more = {}) =>
    startReplica({
      ...{ machine: new WordCounts(), log, trimLog: true, ...more },
      snapshots: sharedSnapshots(objects, 'words'),
    });

  test('start from the newest snapshot of any of them, on a log that has no head any more', async () => {
    const log = new TrimmedLog();
    const { store, disk } = simulated();
    const [one, two] = [await start(store, log), await start(store, log)];
    for (let i = 0; i < 30; i++) await one.execute(`word ${i}`);
    await two.caughtUp();
    await two.snapshot();
    await one.execute('a');
    const newest = await one.snapshot();
    while (log.trimmed < newest) await new Promise((resolve) => setTimeout(resolve, 1));
    // Both hold the log as one: what one of them needs is what all of them start from.
    expect([...log.holds]).toEqual([['machine machine words', newest]]);
    const kinds: string[] = [];
    const fresh = await start(store, log, {
      onApplied: ({ kind }: { kind: string }) => kinds.push(kind),
    });
    expect(await fresh.query((it) => it.state)).toEqual(await one.query((it) => it.state));
    expect(kinds[0]).toBe('snapshot');

    // One that lags keeps nothing that others have already.
    const before = disk.files().map((it) => it.path);
    expect(await two.snapshot()).toBe(newest);
    expect(disk.files().map((it) => it.path)).toEqual(before);
    await Promise.all([one.close(), two.close(), fresh.close()]);
  });

  test('of two logs keep nothing of the other, and neither is trimmed behind what the other has', async () => {
    const [mine, others] = [new TrimmedLog(), new TrimmedLog()];
    const { store, disk } = simulated();
    const [one, two] = [await start(store, mine), await start(store, others)];
    for (let i = 0; i < 30; i++) await two.execute(`word ${i}`);
    const kept = await two.snapshot();
    const refused = { code: 'LOG_MISMATCH' };
    // Behind the other, and before it.
    await one.execute('a');
    await expect(one.snapshot()).rejects.toMatchObject(refused);
    for (let i = 0; i < 60; i++) await one.execute(`word ${i}`);
    await expect(one.snapshot()).rejects.toMatchObject(refused);
    expect(disk.files().map((it) => Number(/-(\d{16})-/.exec(it.path)![1]))).toEqual([kept]);
    expect([...mine.holds.values()]).toEqual([0]);
    expect(mine.trimmed).toBe(0);
    await two.execute('b');
    expect(await two.snapshot()).toBeGreaterThan(kept);
    await Promise.all([one.close(), two.close()]);
  });

  /** A store that lists some names as well of which it has no object any more, as stores with stale lists do. */
  const withGhosts = (objects: DiskObjectStore, ...positions: number[]): ObjectStore => ({
    put: (name, chunks) => objects.put(name, chunks),
    get: (name) => objects.get(name),
    delete: (name) => objects.delete(name),
    list: async (prefix) => {
      // Who asks for ever lets the test end all the same.
      await new Promise((resolve) => setImmediate(resolve));
      const ghosts = positions.map((it) => `words-${String(it).padStart(16, '0')}-gone`);
      return [...(await objects.list(prefix)), ...ghosts].sort();
    },
  });

  test('take nothing for kept that is listed and not there', async () => {
    const { store } = simulated();
    const snapshots = sharedSnapshots(withGhosts(store, 7, 8), 'words');
    expect(await snapshots.load()).toBeUndefined();
    async function* state() {
      yield Uint8Array.of(1);
    }
    // The log may be trimmed as far as this says.
    expect(await snapshots.save(5, state())).toBe(5);
    expect(await snapshots.load()).toMatchObject({ position: 5 });
    expect(await snapshots.load(5)).toBeUndefined();
    for (const position of [6, 9]) expect(await snapshots.save(position, state())).toBe(position);
    const kept = (await store.list('words-')).map((it) => Number(it.split('-')[1]));
    expect(kept).toEqual([6, 9]);
  });

  test('keep theirs also where one of others is given up while they look at it', async () => {
    const { store } = simulated();
    async function* state() {
      yield Uint8Array.of(1);
    }
    await sharedSnapshots(store, 'words').save(5, state());
    const snapshots = sharedSnapshots(
      {
        ...withGhosts(store),
        get: async (name) => {
          const object = await store.get(name);
          await store.delete(name);
          return object;
        },
      },
      'words',
    );
    snapshots.guard?.(async (chunks) => {
      for await (const _ of chunks);
    });
    expect(await snapshots.save(6, state())).toBe(6);
  });

  test('start from a newer one where theirs is given up before they read it', async () => {
    const log = new TrimmedLog();
    const { store } = simulated();
    const one = await start(store, log);
    await one.execute('a');
    await one.snapshot();
    let isFirst = true;
    const late = Object.assign(Object.create(store) as DiskObjectStore, {
      get: async (name: string) => {
        const chunks = await store.get(name);
        if (isFirst) {
          isFirst = false;
          for (let i = 0; i < 2; i++) {
            await one.execute('b');
            await one.snapshot();
          }
        }
        return chunks;
      },
    });
    const two = await start(late, log);
    expect(await two.query((it) => it.state)).toEqual(one.machine.state);
    await Promise.all([one.close(), two.close()]);
  });

  test('keep the two newest, and start from the one before where the newest is damaged', async () => {
    const log = new TrimmedLog();
    const { store, disk } = simulated();
    const one = await start(store, log, { trimLog: false });
    for (let i = 0; i < 5; i++) {
      await one.execute(`word ${i}`);
      await one.snapshot();
    }
    const files = disk.files();
    expect(files).toHaveLength(2);
    disk.flipBit(files[1]!.path, 40);
    const kinds: [string, number][] = [];
    const onApplied = ({ kind, position }: { kind: string; position: number }): void =>
      void kinds.push([kind, position]);
    const two = await start(store, log, { onApplied });
    expect(await two.query((it) => it.state)).toEqual(one.machine.state);
    const older = Number(/-(\d{16})-/.exec(files[0]!.path)![1]);
    expect(kinds[0]).toEqual(['snapshot', older]);
    expect(await firstValueFrom(two.status$)).toMatchObject({ snapshotError: { code: 'CORRUPT' } });
    // The damaged one counts for nothing, although nothing was applied since.
    expect(await two.snapshot()).toBe(two.position);
    await expect(firstValueFrom(two.status$)).resolves.toMatchObject({
      snapshotPosition: two.position,
    });
    const three = await start(store, log);
    await three.caughtUp();
    expect((await firstValueFrom(three.status$)).snapshotError).toBeUndefined();
    await three.close();
    await Promise.all([one.close(), two.close()]);
  });
});
