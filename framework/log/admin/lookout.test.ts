import { World } from '../../testing/simulator/world.ts';
import { Lookout } from './lookout.ts';

test('looks often while something is amiss, seldom while all is well, and at once when told to', async () => {
  const world = new World(1);
  const { clock } = world.ports('test');
  let isWell = false;
  let looks = 0;
  const lookout = new Lookout(clock, () => {
    looks++;
    return isWell;
  });
  const looksIn = async (ms: number): Promise<number> => {
    const before = looks;
    await world.run(ms);
    return looks - before;
  };
  expect(await looksIn(1_005)).toBe(10);
  isWell = true;
  expect(await looksIn(3_000)).toBeLessThanOrEqual(4);
  // However many things happen together.
  for (let i = 0; i < 5; i++) lookout.soon();
  expect(await looksIn(20)).toBe(1);
  expect(await looksIn(500)).toBe(0);
  lookout.stop();
  lookout.soon();
  expect(await looksIn(5_000)).toBe(0);
  world.close();
});

test('rests for as long as the last look took, however much is told', async () => {
  const world = new World(1);
  const { clock } = world.ports('test');
  let now = 0;
  const looks: number[] = [];
  const slow = { ...clock, now: () => clock.now() + now, after: clock.after.bind(clock) };
  const lookout = new Lookout(slow, () => {
    looks.push(slow.now());
    now += 200;
    return false;
  });
  for (let i = 0; i < 60; i++) {
    lookout.soon();
    await world.run(10);
  }
  for (const [i, at] of looks.entries())
    if (i > 0) expect(at - looks[i - 1]!).toBeGreaterThanOrEqual(400);
  expect(looks.length).toBeGreaterThan(2);
  lookout.stop();
  world.close();
});

test('looks again soon where it is told to in the middle of a look, and rests before', async () => {
  const world = new World(1);
  const { clock } = world.ports('test');
  let now = 0;
  const looks: number[] = [];
  const slow = { ...clock, now: () => clock.now() + now, after: clock.after.bind(clock) };
  const lookout = new Lookout(slow, () => {
    looks.push(slow.now());
    if (looks.length === 1) lookout.soon();
    now += 50;
    return true;
  });
  await world.run(500);
  expect(looks).toHaveLength(2);
  // It took 50, and rested for as long.
  expect(looks[1]! - looks[0]!).toBeGreaterThanOrEqual(100);
  lookout.stop();
  world.close();
});
