import { World } from '../../testing/index.ts';
import { startRoles } from '../roles/index.ts';
import { type Topic, Varlog } from './index.ts';

/** Where its node is reached. */
export const ADDRESS = 'n1:9092';

/** A simulated cluster of one node, `n1`. */
export function oneNodeWorld(): World {
  const world = new World(1);
  world.node('n1', (ports) =>
    startRoles({
      ports,
      clusterId: 1,
      nodeId: 1,
      address: ADDRESS,
      members: [{ id: 1, address: ADDRESS }],
      metadata: { directory: 'metadata', replicationFactor: 1 },
      storage: { directory: 'storage' },
    }),
  );
  return world;
}

/** A client of it, and a topic of two log streams with three records. */
export async function connectWithTopic(world: World): Promise<{ varlog: Varlog; topic: Topic }> {
  const ports = world.ports('client');
  const varlog = await Varlog.connect({ endpoints: ADDRESS, timeoutMs: 60_000, ports });
  await varlog.ready({ storageNodes: 1, timeoutMs: 30_000 });
  const topic = await varlog.createTopic({ logStreams: 2 });
  for (let i = 0; i < 3; i++) await topic.append('x');
  return { varlog, topic };
}

/** From now on each message takes so long. */
export function slowDown(world: World, latencyMinMs: number): void {
  const { links } = world.network;
  links.quality = { ...links.quality, latencyMinMs };
}
