import { filter, firstValueFrom } from 'rxjs';
import { MemoryLog } from '../testing/memory-log.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SeededRandom } from '../testing/simulator/random.ts';
import { DiskSnapshotStore } from './disk-snapshot-store.ts';
import { inPieces, type SnapshotStore, type StateMachine, startReplica } from './index.ts';
import { TrimmedLog } from './trimmed-log.fixture.ts';
import { WordCounts } from './word-counts.fixture.ts';

/** As it was before its state was handed over in pieces. */
class WholeCounts implements StateMachine<string, number, [string, number][]> {
  words = new Map<string, number>();
  apply(word: string): number {
    const count = (this.words.get(word) ?? 0) + 1;
    this.words.set(word, count);
    return count;
  }
  snapshot(): [string, number][] {
    return [...this.words];
  }
  restore(words: [string, number][]): void {
    this.words = new Map(words);
  }
}

const newDisk = (seed = 'disk'): SimulatedDisk =>
  new SimulatedDisk({ random: new SeededRandom(seed) });

async function write(
  replica: { execute(word: string): Promise<unknown> },
  words: number,
): Promise<void> {
  await Promise.all(Array.from({ length: words }, (_, i) => replica.execute(`word ${i}`)));
}

/** Saves wait until they are let through. */
function slow(store: DiskSnapshotStore): { store: SnapshotStore; let: () => void; asked: number } {
  let go = (): void => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const it = {
    asked: 0,
    let: () => go(),
    store: {
      load: () => store.load(),
      id: (fresh: string) => store.id(fresh),
      save: async (position: number, chunks: AsyncIterable<Uint8Array>) => {
        it.asked++;
        await gate;
        return store.save(position, chunks);
      },
    },
  };
  return it;
}

describe('a snapshot in pieces', () => {
  test('is that of its moment, although it is written while commands go on', async () => {
    const log = new TrimmedLog();
    const disk = newDisk();
    const { store: snapshots, let: letThrough } = slow(new DiskSnapshotStore(disk));
    const one = await startReplica({ machine: new WordCounts(), log, snapshots });
    await write(one, 1_000);
    const kept = one.snapshot();
    const then = [one.position, structuredClone(one.machine.state)] as const;
    await write(one, 1_500);
    letThrough();
    expect(await kept).toBe(then[0]);
    expect(one.position).toBeGreaterThan(then[0]);
    await one.close();
    const elsewhere = new TrimmedLog();
    const seen: unknown[] = [];
    const again = await startReplica({
      machine: new WordCounts(),
      log: Object.assign(elsewhere, { identity: () => log.identity(), tail: async () => then[0] }),
      snapshots: new DiskSnapshotStore(disk),
      onApplied: ({ kind, position }) => void seen.push([kind, position]),
    });
    expect(again.machine.state).toEqual(then[1]);
    expect(seen).toEqual([['snapshot', then[0]]]);
    await again.close();
  });

  test('goes through a log that keeps snapshots, to replicas that run and to new ones', async () => {
    const log = new MemoryLog();
    await using one = await startReplica({ machine: new WordCounts(), log });
    await write(one, 700);
    expect(await one.snapshot()).toBe(one.position);
    await using two = await startReplica({ machine: new WordCounts(), log });
    await one.execute('-word 5');
    await two.caughtUp();
    expect(two.machine.state).toEqual(one.machine.state);
    expect(await two.execute('word 6')).toBe(2);
  });

  test('cannot be restored by a machine that knows no pieces, which says so', async () => {
    const log = new MemoryLog();
    await using one = await startReplica({ machine: new WordCounts(), log });
    await write(one, 3);
    await one.snapshot();
    await using two = await startReplica({ machine: new WholeCounts(), log });
    await expect(two.execute('a')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      cause: { message: expect.stringContaining('hands over its state whole') },
    });
  });

  test('has to be read to its end', async () => {
    class Hasty extends WordCounts {
      override async restore(pieces: Parameters<WordCounts['restore']>[0]): Promise<void> {
        for await (const _ of pieces) break;
      }
    }
    const log = new MemoryLog();
    await using one = await startReplica({ machine: new WordCounts(), log });
    await write(one, 3);
    await one.snapshot();
    await using two = await startReplica({ machine: new Hasty(), log });
    await expect(two.execute('a')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      cause: { message: expect.stringContaining('all pieces') },
    });
  });

  test('that was whole before is restored by a machine that takes both', async () => {
    class Both extends WordCounts {
      override async restore(
        state: Parameters<WordCounts['restore']>[0] | [string, number][],
      ): Promise<void> {
        if (!Array.isArray(state)) return super.restore(state);
        for (const entry of state) this.words.set(...entry);
      }
    }
    const log = new MemoryLog();
    await using one = await startReplica({ machine: new WholeCounts(), log });
    await write(one, 300);
    await one.snapshot();
    await using two = await startReplica({ machine: new Both(), log });
    expect(await two.execute('word 7')).toBe(2);
    expect(await two.execute('word 300')).toBe(1);
  });
});

describe('a damaged snapshot', () => {
  async function damagedAfter(words: number, log: TrimmedLog): Promise<SimulatedDisk> {
    const disk = newDisk(`damaged ${words}`);
    const snapshots = new DiskSnapshotStore(disk);
    const one = await startReplica({ machine: new WordCounts(), log, snapshots });
    await write(one, words);
    await one.close({ snapshot: true });
    disk.flipBit('snapshot', 12 + Math.floor((disk.files().at(-1)!.size - 12) / 2));
    return disk;
  }

  test('is told, and the log is read from its head', async () => {
    const log = new TrimmedLog();
    const snapshots = new DiskSnapshotStore(await damagedAfter(1_000, log));
    await using again = await startReplica({ machine: new WordCounts(), log, snapshots });
    const corrupt = { snapshotError: { code: 'CORRUPT' } };
    expect(await firstValueFrom(again.status$)).toMatchObject(corrupt);
    expect(await again.execute('word 9')).toBe(2);
    expect(await again.snapshot()).toBe(again.position);
    expect((await firstValueFrom(again.status$)).snapshotError).toBeUndefined();
  });

  test('stops a replica where the log has no head any more: both are told', async () => {
    const log = new TrimmedLog();
    const snapshots = new DiskSnapshotStore(await damagedAfter(100, log));
    log.trimmed = 50;
    await using again = await startReplica({ machine: new WordCounts(), log, snapshots });
    await expect(again.execute('a')).rejects.toMatchObject({ code: 'TRIMMED' });
    expect(await firstValueFrom(again.status$)).toMatchObject({
      state: 'failed',
      snapshotError: { code: 'CORRUPT' },
    });
  });

  test('is passed over for the one before', async () => {
    const log = new TrimmedLog();
    const [older, newer] = [newDisk('older'), await damagedAfter(100, log)];
    const old = await startReplica({
      ...{ machine: new WordCounts(), log, snapshots: new DiskSnapshotStore(older) },
    });
    await old.caughtUp();
    const position = await old.snapshot();
    await old.close();
    const stores = [newer, older].map((it) => new DiskSnapshotStore(it));
    const snapshots: SnapshotStore = {
      save: (...given) => stores[0]!.save(...given),
      load: (below) => stores[below === undefined ? 0 : 1]!.load(),
    };
    // The older one is at the same place; a store says so.
    const loadNewer = stores[0]!.load.bind(stores[0]!);
    stores[0]!.load = async () => ({ ...(await loadNewer())!, position: position + 1 });
    log.trimmed = position;
    await using again = await startReplica({ machine: new WordCounts(), log, snapshots });
    expect(await again.execute('word 9')).toBe(2);
  });
});

describe('when snapshots are made', () => {
  const at = async (
    snapshotEvery: number | { entries?: number; bytes?: number; ms?: number },
    seed: string,
  ): Promise<number[]> => {
    const random = new SeededRandom(seed);
    const positions: number[] = [];
    const snapshots: SnapshotStore = {
      load: async () => undefined,
      save: async (position) => {
        positions.push(position);
        return position;
      },
    };
    const ports = { clock: realEnough, random };
    await using one = await startReplica({
      ...{ machine: new WholeCounts(), log: new TrimmedLog(), snapshots, snapshotEvery, ports },
    });
    for (let i = 0; i < 200; i++) await one.execute(`word ${i}`);
    return positions;
  };

  test('is drawn anew each time, never later than asked, and so spread over replicas', async () => {
    for (const schedule of [20, { entries: 20 }, { bytes: 20 * 30 }]) {
      const all = await Promise.all(['a', 'b', 'c'].map((it) => at(schedule, it)));
      const gaps = all.flatMap((it) => it.map((position, i) => position - (it[i - 1] ?? 0)));
      if (!(typeof schedule === 'object' && 'bytes' in schedule)) {
        expect(Math.max(...gaps)).toBeLessThanOrEqual(20);
        expect(Math.min(...gaps)).toBeGreaterThanOrEqual(15);
      }
      expect(new Set(gaps).size).toBeGreaterThan(2);
      expect(new Set(all.map((it) => it.join())).size).toBe(3);
    }
  });

  test('by time, a machine to which nothing happens makes none', async () => {
    const rings: (() => void)[] = [];
    const clock = {
      ...realEnough,
      after: (ms: number, ring: () => void) => {
        if (ms >= 700_000 && ms <= 1_000_000) rings.push(ring);
        return realEnough.after(ms, ring);
      },
    };
    const ports = { clock, random: new SeededRandom(1) };
    const log = new MemoryLog();
    const snapshotEvery = { ms: 1_000_000 };
    await using one = await startReplica({ machine: new WholeCounts(), log, snapshotEvery, ports });
    await one.caughtUp();
    expect(rings).toHaveLength(0);
    await write(one, 10);
    expect(rings).toHaveLength(1);
    rings[0]!();
    await firstValueFrom(one.status$.pipe(filter((it) => it.snapshotPosition > 0)));
    expect(rings).toHaveLength(1);
    await one.execute('a');
    expect(rings).toHaveLength(2);
  });

  test('one is made on demand, and at the end when it is asked for', async () => {
    const log = new TrimmedLog();
    const disk = newDisk();
    const snapshots = new DiskSnapshotStore(disk);
    const one = await startReplica({ machine: new WordCounts(), log, snapshots });
    expect(await one.snapshot()).toBe(0);
    await write(one, 10);
    const [first, second] = await Promise.all([one.snapshot(), one.snapshot()]);
    expect([first, second]).toEqual([one.position, one.position]);
    expect(await one.snapshot()).toBe(first);
    await write(one, 5);
    const { position } = one;
    await one.close({ snapshot: true });
    expect((await new DiskSnapshotStore(disk).load())?.position).toBe(position);
    await expect(one.snapshot()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('one that cannot be kept is told to who asked for it, and closes no less', async () => {
    const disk = newDisk();
    const log = new TrimmedLog();
    const snapshots = new DiskSnapshotStore(disk);
    const one = await startReplica({ machine: new WordCounts(), log, snapshots });
    await write(one, 10);
    disk.faults = { capacityBytes: 0 };
    await expect(one.snapshot()).rejects.toMatchObject({ code: 'DISK_FULL' });
    await expect(one.close({ snapshot: true })).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(await firstValueFrom(one.status$)).toMatchObject({ state: 'closed' });

    const two = await startReplica({
      ...{ machine: new WordCounts(), log, snapshots: slow(snapshots).store },
    });
    await two.caughtUp();
    await expect(two.snapshot({ timeoutMs: 5 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    const waiting = expect(two.snapshot()).rejects.toMatchObject({ code: 'CLOSED' });
    await two.close();
    await waiting;
  });

  test('without a place for them, whoever asks for some is told at once', async () => {
    const log = new TrimmedLog();
    const refused = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('no place') };
    const start = startReplica({ machine: new WordCounts(), log, snapshotEvery: 5 });
    await expect(start).rejects.toMatchObject(refused);
    await using one = await startReplica({ machine: new WordCounts(), log });
    await expect(one.snapshot()).rejects.toMatchObject(refused);
  });

  test('a machine that failed in the middle of a command is not kept', async () => {
    class Fragile extends WholeCounts {
      failing = (): void => {};
      override apply(word: string): number {
        const count = super.apply(word);
        if (word !== 'bad') return count;
        this.failing();
        throw new Error('a bug, behind the change');
      }
    }
    const saved: number[] = [];
    const snapshots: SnapshotStore = {
      load: async () => undefined,
      save: async (position) => {
        saved.push(position);
        return position;
      },
    };
    const log = new TrimmedLog();
    const machine = new Fragile();
    await using one = await startReplica({ machine, log, snapshots });
    await one.execute('good');
    // It has failed, and nobody knows yet whether an operator has ordered to pass over the command.
    let meanwhile: Promise<number> | undefined;
    machine.failing = () => {
      meanwhile = one.snapshot();
    };
    const bad = one.execute('bad');
    await expect(bad).rejects.toMatchObject({ code: 'APPLY_FAILED' });
    await expect(meanwhile).rejects.toMatchObject({ code: 'APPLY_FAILED' });
    await expect(one.snapshot()).rejects.toMatchObject({ code: 'APPLY_FAILED' });
    await expect(one.close({ snapshot: true })).rejects.toMatchObject({ code: 'APPLY_FAILED' });
    expect(saved).toEqual([]);
  });
});

test('what a generator does before its first piece is done at once', () => {
  let value = 1;
  const pieces = inPieces(
    (function* () {
      const then = value;
      yield then;
      yield then + value;
    })(),
  ).begin();
  value = 10;
  expect([...pieces]).toEqual([1, 11]);
});

/** Real timers; they keep no process alive. */
const realEnough = {
  now: () => 0,
  wall: () => 1e12,
  after: (ms: number, ring: () => void) => {
    const timeout = setTimeout(ring, ms);
    return { cancel: () => clearTimeout(timeout) };
  },
  defer: (run: () => void) => void setImmediate(run),
};
