import type { LogCallOptions } from '../../base/index.ts';
import { World } from '../../testing/index.ts';
import { type MetadataRepository, startMetadataRepository } from './index.ts';

const TIMEOUT_MS = 400;
const members = [1, 2].map((id) => ({ id: id as never, address: `n${id}:9092` }));

let world: World;
afterEach(() => world.close());

/** One of two members: it finds no leader. */
async function alone(): Promise<MetadataRepository> {
  world = new World(1);
  world.node('n1', (ports) =>
    startMetadataRepository({
      ports,
      clusterId: 1,
      memberId: members[0]!.id,
      members,
      directory: 'metadata',
      replicationFactor: 1,
    }),
  );
  await world.started();
  return world.process('n1') as MetadataRepository;
}

const CALLS: [string, (it: MetadataRepository, limits: LogCallOptions) => Promise<unknown>][] = [
  ['read', (it, limits) => it.read(() => {}, limits)],
  ['execute', (it, limits) => it.execute({ kind: 'unregisterTopic', id: 1 }, limits)],
  [
    // No level is agreed on yet.
    'execute of what not all members may know',
    (it, limits) => it.execute({ kind: 'drawFencingToken', topicId: 1 }, limits),
  ],
];

test.each(CALLS)('%s waits for a leader within the time of its caller', async (_, call) => {
  const repository = await alone();
  for (const timeoutMs of [TIMEOUT_MS, 10 * TIMEOUT_MS]) {
    const beganMs = world.nowMs;
    const fate = call(repository, { timeoutMs }).catch((error: unknown) => error);
    expect(await world.play(() => fate)).toMatchObject({ code: 'NOT_LEADER' });
    expect(world.nowMs - beganMs).toBeLessThanOrEqual(timeoutMs + 1);
  }
});
