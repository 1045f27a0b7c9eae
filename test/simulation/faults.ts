import type { World } from '../../framework/testing/index.ts';

const FAULTS_MS = 8_000;

/**
 * A few seconds of faults: crashes and power losses of nodes, all of them at times, partitions, pauses. All is well
 * again when it resolves.
 */
export async function withFaults(world: World, nodes: readonly string[]): Promise<void> {
  const random = world.random.stream('faults');
  const end = world.nowMs + FAULTS_MS;
  const pick = (): string => nodes[random.below(nodes.length)]!;
  while (world.nowMs < end) {
    await world.run(200 + random.below(1_500));
    const kind = random.below(10);
    const powerLoss = random.below(2) === 0;
    if (kind < 4) {
      const name = pick();
      world.crash(name, { powerLoss });
      world.after(random.below(2_000), () => world.restart(name));
    } else if (kind < 5) {
      for (const name of nodes) {
        world.crash(name, { powerLoss });
        world.after(random.below(1_000), () => world.restart(name));
      }
    } else if (kind < 8) {
      const name = pick();
      const oneWay = random.below(3) === 0;
      const lift = world.partition([[name], nodes.filter((it) => it !== name)], { oneWay });
      world.after(random.below(3_000), lift);
    } else {
      const name = pick();
      world.pause(name);
      world.after(random.below(2_000), () => world.resume(name));
    }
  }
  world.heal();
  await world.run(3_100);
  for (const name of nodes) world.restart(name);
}
