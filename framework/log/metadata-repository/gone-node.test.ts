import type { Ports } from '../../base/index.ts';
import { World } from '../../testing/simulator/world.ts';
import { isGone } from './gone-node.ts';

let world: World;
afterEach(() => world.close());

/** What becomes of the question when a process is missed for 300 virtual ms, and after how many it is answered. */
async function ask(happened: () => void): Promise<{ gone: boolean; ms: number }> {
  world = new World(1);
  const serve = async ({ network }: Ports) => {
    const server = await network.serve('node:1', []);
    return { close: () => server.close() };
  };
  world.node('node', serve);
  await world.started();
  happened();
  const beganMs = world.nowMs;
  const isMissed = (): boolean => world.nowMs - beganMs < 300;
  const gone = await world.play(() => isGone(world.ports('leader'), 'node:1', isMissed));
  return { gone, ms: world.nowMs - beganMs };
}

test('a process that ended is known to be gone at once', async () => {
  const { gone, ms } = await ask(() => world.crash('node'));
  expect(gone).toBe(true);
  expect(ms).toBeLessThan(50);
});

test('one that ends while it is asked is known soon', async () => {
  const { gone, ms } = await ask(() => world.after(60, () => world.crash('node')));
  expect(gone).toBe(true);
  expect(ms).toBeLessThan(200);
});

test.each([
  ['answers, with whatever it is', () => {}],
  ['stands still', () => world.pause('node')],
  ['lost its power, machine and all', () => world.crash('node', { powerLoss: true })],
])('one that %s is not known to be gone', async (_, happened) => {
  expect((await ask(happened)).gone).toBe(false);
});
