import { type DiskFaults, SimulatedDisk } from '../testing/simulator/disk.ts';
import { firstFailure } from './first-failure.fixture.ts';
import { openLog, type State, seeded, Witness } from './witness.fixture.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 300);

/** Works, crashes, recovers and checks, again and again on one disk. */
async function liveAndDie(seed: number, faults: DiskFaults = {}): Promise<void> {
  const random = seeded(seed);
  const disk = new SimulatedDisk({ random, faults });
  let state: State = { first: 1, frames: [] };
  let witness: Witness | undefined;
  for (let life = 0; life < 5; life++) {
    const halted = disk.haltAt(disk.operationCount + 1 + random.below(60));
    const living = (async () => {
      const log = await openLog(disk);
      // Whoever opened a log may act on what is in it.
      state = witness === undefined ? state : await witness.check(log);
      witness = new Witness(log, state, random);
      await witness.work(30);
    })();
    await Promise.race([halted, living]);
    disk.crash(random.below(3) === 0 ? 'kill' : 'powerLoss');
  }
  const log = await openLog(disk);
  await witness?.check(log);
}

describe('after a crash', () => {
  test('what was reported durable is there, and nothing that never was', async () => {
    expect(await firstFailure(SEEDS, liveAndDie)).toBeUndefined();
  }, 120_000);

  test('the same at every single point of a workload', async () => {
    const run = async (halt: number, seed: number) => {
      const random = seeded(seed);
      const disk = new SimulatedDisk({ random });
      const halted = disk.haltAt(halt);
      let witness: Witness | undefined;
      const living = (async () => {
        witness = new Witness(await openLog(disk), { first: 1, frames: [] }, random);
        await witness.work(40);
        return true;
      })();
      const ended = await Promise.race([halted.then(() => false), living]);
      return { disk, witness, ended };
    };
    for (let halt = 1; ; halt++) {
      const { disk, witness, ended } = await run(halt, 7);
      for (let fate = 0; fate < 6; fate++) {
        const after = disk.clone(seeded(fate * 1000 + halt));
        after.crash(fate === 0 ? 'kill' : 'powerLoss');
        const log = await openLog(after);
        if (witness === undefined) expect(log.end).toBe(0);
        else await witness.check(log);
      }
      if (ended) break;
      expect(halt).toBeLessThan(2000);
    }
  }, 120_000);

  test.each<DiskFaults>([{ lies: new Set(['sync']) }, { lies: new Set(['syncDirectory']) }])(
    'a disk that lies is found out (%p)',
    async (faults) => {
      expect(await firstFailure(200, (seed) => liveAndDie(seed, faults))).toBeDefined();
    },
  );
});
