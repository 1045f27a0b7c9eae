import { realPorts } from '../runtime/index.ts';
import { bytes, take, World } from './group.fixture.ts';
import { restoreLostMajority } from './restore.ts';

describe('a group that lost its majority for good', () => {
  let world: World;
  afterEach(() => world.end());

  const restore = (id: number, dryRun = false) =>
    restoreLostMajority({
      ports: realPorts({ directory: world.root }),
      groupId: 'test',
      member: world.members.find((it) => it.id === id)!,
      directory: `${id}`,
      dryRun,
    });

  test('goes on with the member that is left, which takes others in again', async () => {
    world = await World.start();
    const leader = await world.leader();
    for (const it of ['a', 'b']) await leader.append([bytes(it)]);
    const left = leader.status.leader!.id;
    for (const id of [1, 2, 3]) await world.stop(id);
    const seen = await restore(left, true);
    const restored = await restore(left);
    expect(restored).toEqual(seen);
    expect(restored.membersBefore).toEqual([1, 2, 3]);
    expect(restored.keptUpTo).toBeGreaterThanOrEqual(3);
    const one = await world.open(left);
    await one.append([bytes('c')]);
    expect(one.status.voters).toEqual([left]);
    await one.addMember(await world.join(4));
    expect(await take(world.groups.get(4)!, 1, 3)).toEqual(['a', 'b', 'c']);
    expect(one.status.voters).toEqual([left, 4]);
    await world.stop(4);
    // Who joined remembers which generation it belongs to.
    await world.open(4);
    await one.append([bytes('d')]);
  });

  test('and those that come back nevertheless are a group apart: neither takes from the other', async () => {
    world = await World.start();
    const leader = await world.leader();
    await leader.append([bytes('a')]);
    for (const id of [1, 2, 3]) await world.stop(id);
    await restore(1);
    const one = await world.open(1);
    await world.open(2);
    const three = await world.open(3);
    await three.append([bytes('old')]);
    await one.append([bytes('new')]);
    expect(await take(one, 1, 2)).toEqual(['a', 'new']);
    expect(await take(world.groups.get(2)!, 1, 2)).toEqual(['a', 'old']);
    expect(one.status.voters).not.toEqual(three.status.voters);
  });

  test('is found below the folder that its user gave', async () => {
    world = await World.start(1, { directory: 'node/raft' });
    const leader = await world.leader();
    await leader.append([bytes('a')]);
    await world.stop(1);
    const { keptUpTo } = await restoreLostMajority({
      ports: realPorts({ directory: world.root }),
      groupId: 'test',
      member: world.members[0]!,
      directory: 'node',
      dryRun: true,
    });
    expect(keptUpTo).toBe(2);
  });

  test('a member that runs, or never belonged to it, is refused and left as it is', async () => {
    world = await World.start(1);
    const leader = await world.leader();
    await leader.append([bytes('a')]);
    await expect(restore(1)).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
    const stranger = await world.join(2);
    await world.stop(stranger.id);
    await expect(restore(2)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    const { disk } = realPorts({ directory: world.root });
    const elsewhere = restoreLostMajority({
      ports: realPorts({ directory: world.root }),
      groupId: 'test',
      member: world.members[0]!,
      directory: 'elsewhere',
    });
    await expect(elsewhere).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await disk.list('elsewhere')).toEqual([]);
    expect(await take(leader, 1, 1)).toEqual(['a']);
  });
});
