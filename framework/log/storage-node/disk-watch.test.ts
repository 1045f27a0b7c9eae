import type { Timer } from '../../base/index.ts';
import { SeededRandom, SimulatedDisk } from '../../testing/index.ts';
import { DiskWatch } from './disk-watch.ts';

test('an operation that takes long, or never ends, is seen and said', async () => {
  let now = 0;
  const ringing: (() => void)[] = [];
  const clock = {
    now: () => now,
    wall: () => now,
    defer: (run: () => void) => queueMicrotask(run),
    after: (_: number, run: () => void): Timer => {
      ringing.push(run);
      return { cancel: () => {} };
    },
  };
  const logged: string[] = [];
  const logger = { log: (level: string, message: string) => logged.push(`${level} ${message}`) };
  const disk = new SimulatedDisk({ random: new SeededRandom(1), clock });
  const watch = new DiskWatch(disk, clock, logger);
  const finish = async (): Promise<void> => {
    for (const run of ringing.splice(0)) run();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const opened = watch.disk.open('file', 'create');
  await finish();
  const file = await opened;
  const hangs = file.sync();
  now += 5_000;
  expect(watch.slowestMs).toBe(5_000);
  await finish();
  await hangs;
  expect(logged).toEqual(['warn the disk is slow']);
  // In the bucket of what took longer than all bounds.
  expect(watch.syncs.counts).toMatchObject({ sumMs: 5_000 });
  expect(watch.syncs.counts.counts.findIndex((it) => it > 0)).toBe(11);
  now += 20_000;
  expect(watch.slowestMs).toBe(5_000);
  now += 20_000;
  const quick = file.write(0, [new Uint8Array(1)]);
  await finish();
  await quick;
  expect(watch.slowestMs).toBe(0);
  expect(logged).toEqual(['warn the disk is slow', 'info the disk is as fast as before']);
});
