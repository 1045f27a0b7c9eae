import type { Disk } from '../base/index.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { FolderWatch } from './folder-watch.ts';

test('the folders of an idle process are looked at less often, and soon after something was written', async () => {
  const clock = new ManualClock();
  let looks = 0;
  let syncs = 0;
  const disk = { list: async () => [String(++looks)] } as unknown as Disk;
  const folder = {
    directory: 'a',
    holds: () => 'something' as const,
    isLocked: false,
    lost: () => {},
  };
  const watch = new FolderWatch([folder], { disk, clock, logger: { log: () => {} } }, () => syncs);
  await clock.advance(20_000);
  expect(looks).toBeLessThan(6);
  const before = looks;
  syncs++;
  await clock.advance(1_000);
  expect(looks).toBe(before + 1);
  const after = looks;
  await clock.advance(6_000);
  expect(looks).toBeGreaterThan(after);
  watch.stop();
  expect(clock.pending).toBe(0);
});
