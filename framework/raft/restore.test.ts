import { realPorts } from '../runtime/index.ts';
import { bytes, GroupFixture, take } from './group.fixture.ts';
import { restoreLostMajority } from './restore.ts';

describe('a group that lost its majority for good', () => {
  let fixture: GroupFixture;
  afterEach(() => fixture.end());

  const restore = (id: number, dryRun = false) =>
    restoreLostMajority({
      ports: realPorts({ directory: fixture.root }),
      groupId: 'test',
      member: fixture.members.find((it) => it.id === id)!,
      directory: `${id}`,
      dryRun,
    });

  test('goes on with the member that is left, which takes others in again', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    for (const it of ['a', 'b']) await leader.append([bytes(it)]);
    const left = leader.status.leader!.id;
    for (const id of [1, 2, 3]) await fixture.stop(id);
    const seen = await restore(left, true);
    const restored = await restore(left);
    expect(restored).toEqual(seen);
    expect(restored.membersBefore).toEqual([1, 2, 3]);
    expect(restored.keptUpTo).toBeGreaterThanOrEqual(3);
    const one = await fixture.open(left);
    await one.append([bytes('c')]);
    expect(one.status.voters).toEqual([left]);
    await one.addMember(await fixture.join(4));
    expect(await take(fixture.groups.get(4)!, 1, 3)).toEqual(['a', 'b', 'c']);
    expect(one.status.voters).toEqual([left, 4]);
    await fixture.stop(4);
    // Who joined remembers which generation it belongs to.
    await fixture.open(4);
    await one.append([bytes('d')]);
  });

  test('and those that come back nevertheless are a group apart: neither takes from the other', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    await leader.append([bytes('a')]);
    // An append waits for a majority, to which the first need not belong.
    for (const id of [1, 2, 3]) await take(fixture.groups.get(id)!, 1, 1);
    for (const id of [1, 2, 3]) await fixture.stop(id);
    await restore(1);
    const one = await fixture.open(1);
    await fixture.open(2);
    const three = await fixture.open(3);
    await three.append([bytes('old')]);
    await one.append([bytes('new')]);
    expect(await take(one, 1, 2)).toEqual(['a', 'new']);
    expect(await take(fixture.groups.get(2)!, 1, 2)).toEqual(['a', 'old']);
    expect(one.status.voters).not.toEqual(three.status.voters);
  });

  test('is found below the folder that its user gave', async () => {
    fixture = await GroupFixture.start(1, { directory: 'node/raft' });
    const leader = await fixture.leader();
    await leader.append([bytes('a')]);
    await fixture.stop(1);
    const { keptUpTo } = await restoreLostMajority({
      ports: realPorts({ directory: fixture.root }),
      groupId: 'test',
      member: fixture.members[0]!,
      directory: 'node',
      dryRun: true,
    });
    expect(keptUpTo).toBe(2);
  });

  test('a member that runs, or never belonged to it, is refused and left as it is', async () => {
    fixture = await GroupFixture.start(1);
    const leader = await fixture.leader();
    await leader.append([bytes('a')]);
    await expect(restore(1)).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' });
    const stranger = await fixture.join(2);
    await fixture.stop(stranger.id);
    await expect(restore(2)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    const { disk } = realPorts({ directory: fixture.root });
    const elsewhere = restoreLostMajority({
      ports: realPorts({ directory: fixture.root }),
      groupId: 'test',
      member: fixture.members[0]!,
      directory: 'elsewhere',
    });
    await expect(elsewhere).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await disk.list('elsewhere')).toEqual([]);
    expect(await take(leader, 1, 1)).toEqual(['a']);
  });
});
