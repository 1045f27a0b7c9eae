import fc from 'fast-check';
import { SegmentedLog } from '../../store/index.ts';
import { SeededRandom, SimulatedDisk } from '../../testing/index.ts';
import { AppendTime } from './append-time.ts';

/** A clock of which only the wall is looked at; it shows what it is set to. */
function clockAt(ms: number) {
  const clock = {
    ms,
    wall: () => clock.ms,
    now: () => 0,
    after: () => ({ cancel: () => {} }),
    defer: () => {},
  };
  return clock;
}

const open = (disk: SimulatedDisk): Promise<SegmentedLog> =>
  SegmentedLog.open({ disk, directory: 'log', label: 'a log', segmentBytes: 4_500 });

test('time never goes back, whatever the clock does, also when the log is opened again', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.double({ min: 0, max: 2 ** 45, noNaN: true }), { minLength: 1, maxLength: 20 }),
      fc.nat(19),
      async (walls, restart) => {
        const disk = new SimulatedDisk({ random: new SeededRandom(1) });
        const clock = clockAt(0);
        let log = await open(disk);
        let time = await AppendTime.behind(log, clock);
        let before = 0;
        for (const [i, wall] of walls.entries()) {
          clock.ms = wall;
          if (i === restart) {
            await log.close();
            log = await open(disk);
            time = await AppendTime.behind(log, clock);
          }
          const timestamp = time.next();
          expect(timestamp).toBe(Math.max(before, Math.floor(wall)));
          before = timestamp;
          const payload = new Uint8Array(50);
          log.append([{ position: log.end + 1, count: 1, epoch: 1, timestamp, payload }]);
          await log.flush();
        }
        await log.close();
      },
    ),
  );
});

test('a backup goes on behind what the primary gave', async () => {
  const disk = new SimulatedDisk({ random: new SeededRandom(1) });
  const time = await AppendTime.behind(await open(disk), clockAt(100));
  time.note(250);
  time.note(0);
  expect(time.next()).toBe(250);
});
