import { handler, VarlogError } from '../../base/index.ts';
import { World } from '../../testing/index.ts';
import { Hello, Ordering, ReplicaSizes, SessionResponse } from '../../wire/gen/log.ts';
import { LOG_TIMES } from '../timing.ts';
import { KnownMembers } from './known-members.ts';
import { RepositoryLink } from './repository-link.ts';

/** A node that is started with the addresses of seven members, of which the last leads, or none, and how often each was asked. */
async function setup(leads: boolean, address = 'node:1') {
  const world = new World(1);
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const asked: string[] = [];
  let heard = 0;
  for (const name of names) {
    world.node(name, async (ports) => {
      const session = handler(Ordering.Session, async (stream) => {
        asked.push(name);
        stream.receive(() => {
          heard++;
          if (leads && name === 'g') stream.send(SessionResponse.create({}));
        });
        if (leads && name === 'g') return stream.closed;
        throw new VarlogError('UNAVAILABLE', { what: `member ${name} was removed` });
      });
      return ports.network.serve(`${name}:1`, [session]);
    });
  }
  const ports = world.ports('node');
  const members = await world.play(() =>
    KnownMembers.open({
      ports,
      clusterId: 1,
      storageNodeId: 1,
      address: 'node:1',
      directory: 'storage',
      metadataRepository: names.map((it) => `${it}:1`),
    }),
  );
  const link = new RepositoryLink({
    ports,
    hello: Hello.create({ clusterId: 1, storageNodeId: 1, address }),
    cluster: () => undefined,
    members,
    allReports: () => [],
    sizes: () => ReplicaSizes.create({}),
    receive: () => {},
  });
  link.start();
  return { world, link, asked, heard: () => heard };
}

test('a node finds the member that leads before it is taken for lost, however many there were', async () => {
  const { world, link } = await setup(true);
  await world.until(() => link.connected, LOG_TIMES.nodeLostAfterMs / 3);
  await world.play(() => link.close());
  world.close();
});

test('while none leads, it asks all of them less and less often', async () => {
  const { world, link, asked } = await setup(false);
  await world.run(60_000);
  const rounds = asked.length / 7;
  expect(rounds).toBeGreaterThan(60_000 / LOG_TIMES.sessionRetryMaxMs - 10);
  expect(rounds).toBeLessThan(60_000 / (0.2 * LOG_TIMES.sessionRetryMaxMs));
  expect(new Set(asked.slice(0, 7)).size).toBe(7);
  await world.play(() => link.close());
  world.close();
});

test.each([
  ['a leader elsewhere hears of it about every second', 'node:1', [50, 200]],
  ['a leader in its own process hears only of sizes', 'g:1', [5, 15]],
] as const)(
  'of a node that has nothing to say, %s, and keeps its link',
  async (_, address, [least, most]) => {
    const { world, link, asked, heard } = await setup(true, address);
    await world.until(() => link.connected, LOG_TIMES.nodeLostAfterMs);
    const before = heard();
    await world.run(60_000);
    expect(asked.filter((it) => it === 'g')).toHaveLength(1);
    expect(heard() - before).toBeGreaterThanOrEqual(least);
    expect(heard() - before).toBeLessThanOrEqual(most);
    await world.play(() => link.close());
    world.close();
  },
);
