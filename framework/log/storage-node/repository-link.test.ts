import { handler, type Ports, VarlogError } from '../../base/index.ts';
import { World } from '../../testing/index.ts';
import {
  Hello,
  MembersResponse,
  Ordering,
  ReplicaSizes,
  SessionResponse,
} from '../../wire/gen/log.ts';
import { LOG_TIMES } from '../timing.ts';
import { KnownMembers } from './known-members.ts';
import { RepositoryLink } from './repository-link.ts';

/** A node that is started with the addresses of seven members, of which the last leads, or none, and how often each was asked. */
async function setup(
  leads: boolean | 'once',
  quiet = false,
  byRaft: (ports: Ports) => number = () => Number.NEGATIVE_INFINITY,
) {
  const world = new World(1);
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const asked: string[] = [];
  let asksWho = 0;
  for (const name of names) {
    world.node(name, async (ports) => {
      const session = handler(Ordering.Session, async (stream) => {
        asked.push(name);
        let heard = 0;
        stream.receive(() => {
          if (leads === 'once' && heard++ > 0) return;
          if (leads && name === 'g') stream.send(SessionResponse.create({}));
        });
        if (quiet || (leads && name === 'g')) return stream.closed;
        throw new VarlogError('UNAVAILABLE', { what: `member ${name} was removed` });
      });
      const members = handler(Ordering.Members, async () => {
        asksWho++;
        return MembersResponse.create({});
      });
      return ports.network.serve(`${name}:1`, [session, members]);
    });
  }
  const logged: string[] = [];
  const logger = { log: (...parts: unknown[]) => logged.push(JSON.stringify(parts)) };
  const ports = { ...world.ports('node'), logger };
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
    leaderHeardAt: () => byRaft(ports),
    hello: Hello.create({ clusterId: 1, storageNodeId: 1, address: 'node:1' }),
    cluster: () => undefined,
    members,
    allReports: () => [],
    sizes: () => ReplicaSizes.create({}),
    receive: () => {},
  });
  link.start();
  return { world, link, asked, logged, asksWho: () => asksWho };
}

test('a node finds the member that leads before it is taken for lost, however many there were', async () => {
  const { world, link } = await setup(true);
  await world.until(() => link.connected, LOG_TIMES.nodeLostAfterMs / 3);
  await world.play(() => link.close());
  world.close();
});

test('while none leads, it asks all of them less and less often, and says why there is no link', async () => {
  const { world, link, asked, logged } = await setup(false);
  expect(link.whyNot).toBe('no link to the leader of the metadata repository');
  await world.run(60_000);
  const rounds = asked.length / 7;
  expect(rounds).toBeGreaterThan(60_000 / LOG_TIMES.sessionRetryMaxMs - 10);
  expect(rounds).toBeLessThan(60_000 / (0.2 * LOG_TIMES.sessionRetryMaxMs));
  expect(new Set(asked.slice(0, 7)).size).toBe(7);
  expect(link.whyNot).toMatch(/^no link to the leader .*member a was removed/);
  // Once, however long it takes.
  expect(logged.filter((it) => it.includes('finds no leader'))).toEqual([
    expect.stringContaining('member a was removed'),
  ]);
  await world.play(() => link.close());
  world.close();
});

test('members of which nothing is heard are why there is no link', async () => {
  const { world, link } = await setup(false, true);
  await world.until(() => link.whyNot.includes('('), 60_000);
  expect(link.whyNot).toMatch(/nothing was heard from the member at a:1 for .* either direction/);
  await world.play(() => link.close());
  world.close();
});

test.each([
  ['asks the others when its link hangs', () => Number.NEGATIVE_INFINITY, true],
  ['asks nobody while Raft hears that one', ({ clock }: Ports) => clock.now(), false],
])('a node of which the leader is silent %s, and leaves it in time', async (_, byRaft, asks) => {
  const { world, link, asked, asksWho } = await setup('once', false, byRaft);
  await world.until(() => link.connected, LOG_TIMES.nodeLostAfterMs);
  await world.run(LOG_TIMES.leaderSilenceMaxMs - 100);
  expect([link.connected, asksWho() > 0]).toEqual([true, asks]);
  const before = asked.length;
  await world.until(() => asked.length > before, 200);
  await world.play(() => link.close());
  world.close();
});
