import { filter, firstValueFrom } from 'rxjs';
import { realRandom } from '../runtime/index.ts';
import { MemoryLog } from '../testing/memory-log.ts';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { DiskSnapshotStore } from './disk-snapshot-store.ts';
import { type SnapshotStore, startReplica } from './index.ts';
import { Sum } from './sum.fixture.ts';

/** A log in memory that notes who holds what, and refuses as long as it is told to. */
function holding() {
  const log = new MemoryLog();
  const holds: { holder: string; position: number; tail: number }[] = [];
  const state = { refuses: false };
  const hold = async (holder: string, position: number): Promise<void> => {
    if (state.refuses) throw new Error('there are too many holds');
    holds.push({ holder, position, tail: await log.tail() });
  };
  return { log: Object.assign(log, { hold }), holds, state };
}

const newStore = (): DiskSnapshotStore =>
  new DiskSnapshotStore(new SimulatedDisk({ random: realRandom }));

test('a replica holds its place before it applies anything, and moves it behind each snapshot that is kept', async () => {
  const { log, holds } = holding();
  const snapshots = newStore();
  const kept: number[] = [];
  const save = snapshots.save.bind(snapshots);
  snapshots.save = async (position, chunks) => {
    // Commands are applied meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 5));
    kept.push(position);
    return save(position, chunks);
  };
  const seen: number[] = [];
  const onApplied = (): void => void seen.push(holds.length);
  const options = { log, snapshots, snapshotEvery: 3, name: 'sum', onApplied };
  const one = await startReplica({ machine: new Sum(), ...options });
  for (let i = 0; i < 200; i++) await one.execute(1);
  while (holds.length < 4) await one.execute(1);
  await one.close();
  expect(seen.every((it) => it >= 1)).toBe(true);
  expect(holds[0]).toMatchObject({ position: 0 });
  for (const { position } of holds) expect([0, ...kept]).toContain(position);

  const last = (await snapshots.load())!.position;
  const before = holds.length;
  await using again = await startReplica({ machine: new Sum(), ...options });
  await again.caughtUp();
  expect(holds[before]).toMatchObject({ position: last });
  expect(new Set(holds.map((it) => it.holder)).size).toBe(1);
  expect(holds[0]!.holder).toMatch(/^machine sum ./);

  await using other = await startReplica({ machine: new Sum(), ...options, snapshots: newStore() });
  await other.caughtUp();
  expect(new Set(holds.map((it) => it.holder)).size).toBe(2);
});

test('a hold that cannot be had is told, tried again, and stops nothing', async () => {
  const { log, holds, state } = holding();
  state.refuses = true;
  const options = { machine: new Sum(), log, snapshots: newStore(), snapshotEvery: 1 };
  await using sum = await startReplica(options);
  expect(await sum.execute(1)).toBe(1);
  const status = await firstValueFrom(sum.status$.pipe(filter((it) => it.holdError !== undefined)));
  expect(status).toMatchObject({ holdError: { message: 'there are too many holds' } });
  expect(await sum.execute(1)).toBe(2);
  state.refuses = false;
  await firstValueFrom(sum.status$.pipe(filter((it) => it.holdError === undefined)));
  expect(holds.length).toBeGreaterThan(0);
});

test('a replica without a place that is known again holds nothing', async () => {
  const { log, holds } = holding();
  const store = newStore();
  const nameless: SnapshotStore = {
    save: store.save.bind(store),
    load: store.load.bind(store),
  };
  await using one = await startReplica({ machine: new Sum(), log });
  await using two = await startReplica({ machine: new Sum(), log, snapshots: nameless });
  await one.execute(1);
  await two.caughtUp();
  expect(holds).toEqual([]);
});
