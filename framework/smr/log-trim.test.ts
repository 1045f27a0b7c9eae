import { filter, firstValueFrom } from 'rxjs';
import { SimulatedDisk } from '../testing/simulator/disk.ts';
import { SeededRandom } from '../testing/simulator/random.ts';
import { DiskSnapshotStore } from './disk-snapshot-store.ts';
import { startReplica } from './index.ts';
import { TrimmedLog } from './trimmed-log.fixture.ts';
import { WordCounts } from './word-counts.fixture.ts';

const newStore = (): DiskSnapshotStore =>
  new DiskSnapshotStore(new SimulatedDisk({ random: new SeededRandom('disk') }));

/** Once the log is trimmed up to a position. */
async function trimmedTo(log: TrimmedLog, position: number): Promise<void> {
  while (log.trimmed < position) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('a log is trimmed by its replicas', () => {
  test('up to the oldest snapshot of all that hold it, and the status says whose that is', async () => {
    const log = new TrimmedLog();
    const stores = [newStore(), newStore()];
    const start = (i: number) =>
      startReplica({
        ...{ machine: new WordCounts(), log, snapshots: stores[i]!, trimLog: true },
      });
    const [one, two] = [await start(0), await start(1)];
    for (let i = 0; i < 20; i++) await one.execute(`word ${i}`);
    await two.caughtUp();
    const older = await two.snapshot();
    await two.close();
    for (let i = 0; i < 20; i++) await one.execute(`word ${i}`);
    const newer = await one.snapshot();
    await trimmedTo(log, older);
    const status = await firstValueFrom(
      one.status$.pipe(filter((it) => it.trimmed?.heldBackBy !== undefined)),
    );
    const heldBackBy = { holder: expect.stringMatching(/^machine machine ./), position: older };
    expect(status.trimmed).toEqual({ position: older, heldBackBy });
    expect(log.trimmed).toBe(older);

    // Who comes back starts from its snapshot, and lets go of what it held with the next one.
    const again = await start(1);
    await again.caughtUp();
    expect(await again.snapshot()).toBe(newer);
    await trimmedTo(log, newer);
    const { trimmed } = await firstValueFrom(
      again.status$.pipe(filter((it) => it.trimmed?.position === newer)),
    );
    expect(trimmed).toEqual({ position: newer });
    await Promise.all([one.close(), again.close()]);
  });

  test('only where they are told to', async () => {
    const log = new TrimmedLog();
    await using one = await startReplica({
      ...{ machine: new WordCounts(), log, snapshots: newStore() },
    });
    await one.execute('a');
    const position = await one.snapshot();
    while (![...log.holds.values()].includes(position))
      await new Promise((resolve) => setTimeout(resolve, 1));
    await one.execute('b');
    expect(log.trimmed).toBe(0);
    expect((await firstValueFrom(one.status$)).trimmed).toBeUndefined();
  });

  test('a trim that fails is told, tried again behind the next snapshot, and stops nothing', async () => {
    const log = new TrimmedLog();
    const trim = log.trim.bind(log);
    let answers = false;
    log.trim = async (position) => {
      if (!answers) throw new Error('nobody answers');
      return trim(position);
    };
    await using one = await startReplica({
      ...{ machine: new WordCounts(), log, snapshots: newStore(), trimLog: true },
    });
    await one.execute('a');
    await one.snapshot();
    const told = await firstValueFrom(
      one.status$.pipe(filter((it) => it.trimmed?.error !== undefined)),
    );
    expect(told.trimmed).toMatchObject({ position: 0, error: { message: 'nobody answers' } });
    answers = true;
    await one.execute('b');
    const position = await one.snapshot();
    await trimmedTo(log, position);
    const { trimmed } = await firstValueFrom(
      one.status$.pipe(filter((it) => it.trimmed?.position === position)),
    );
    expect(trimmed).toEqual({ position });
  });
});
