import { realPorts } from '../runtime/index.ts';
import { bytes, take, World } from './group.fixture.ts';
import { restoreLostMajority } from './restore.ts';

const IDENTITY = /^[0-9a-f]{32}$/;
const SOON = { timeoutMs: 1_500 };

describe('the identity of a group', () => {
  const worlds: World[] = [];
  const world = async (size = 3): Promise<World> => {
    const made = await World.prepare(size);
    worlds.push(made);
    return made;
  };
  const running = async (size = 3): Promise<World> => {
    const made = await world(size);
    for (let id = 1; id <= size; id++) await made.open(id);
    return made;
  };
  afterEach(async () => {
    for (const it of worlds.splice(0)) await it.end();
  });

  test('is the same at all members, over restarts, for who joins, and of no other group', async () => {
    const one = await running();
    const identities = await Promise.all([...one.groups.values()].map((it) => it.identity()));
    const [identity] = identities;
    expect(identity).toMatch(IDENTITY);
    expect(new Set(identities).size).toBe(1);
    const leader = await one.leader();
    const index = await leader.append([bytes('a')]);
    await leader.compact(index, bytes('state'));
    await leader.addMember(await one.join(4));
    expect(one.groups.get(4)!.status.identity).toBe(identity);
    for (const id of [1, 2, 3, 4]) await one.stop(id);
    // At once, without a leader.
    for (const id of [3, 4]) expect((await one.open(id)).status.identity).toBe(identity);
    const other = await running(1);
    expect(await other.groups.get(1)!.identity()).not.toBe(identity);
  });

  test('survives a restore from one member', async () => {
    const one = await running();
    const identity = await one.groups.get(1)!.identity();
    for (const id of [1, 2, 3]) await one.stop(id);
    const ports = realPorts({ directory: one.root });
    await restoreLostMajority({ ports, groupId: 'test', member: one.members[0]!, directory: '1' });
    const restored = await one.open(1);
    await restored.append([bytes('b')]);
    expect(await restored.identity()).toBe(identity);
  });

  test('is waited for, and no longer than was asked for', async () => {
    const one = await world();
    const alone = await one.open(1);
    await expect(alone.identity({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const given = new AbortController();
    const aborted = alone.identity({ signal: given.signal });
    given.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    const closed = alone.identity();
    const refused = expect(closed).rejects.toMatchObject({ code: 'CLOSED' });
    await alone.close();
    await refused;
    await expect(alone.identity()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('keeps two groups apart whose members take each other for their own', async () => {
    const one = await running();
    const identity = await one.groups.get(1)!.identity();
    await (await one.leader()).append([bytes('of one')]);
    // Of a group of five, the first three addresses are those of the other group.
    const two = await world(5);
    two.members.splice(0, 3, ...one.members);
    const four = await two.open(4);
    await two.open(5);
    await expect(four.identity(SOON)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await (await one.leader()).append([bytes('still of one')]);
    const all = [...one.groups.values()];
    for (const it of all) expect(await take(it, 1, 2)).toEqual(['of one', 'still of one']);
    for (const it of all) expect(it.status).toMatchObject({ identity, voters: [1, 2, 3] });
    expect(four.status.role).toBe('follower');
  });

  test('a member whose address another group took speaks to nobody there, and lives on', async () => {
    const [one, two] = [await running(), await running()];
    await (await one.leader()).append([bytes('of one')]);
    const [mine, theirs] = [
      await one.groups.get(1)!.identity(),
      await two.groups.get(1)!.identity(),
    ];
    // The third member of each group listens where the other group's does.
    for (const it of [one, two]) await it.stop(3);
    const [atOne, atTwo] = [one.members[2]!, two.members[2]!];
    one.members[2] = atTwo;
    two.members[2] = atOne;
    for (const it of [one, two]) await it.open(3);
    await (await one.leader()).append([bytes('more of one')], SOON);
    await (await two.leader()).append([bytes('of two')], SOON);
    for (const [it, identity] of [
      [one, mine],
      [two, theirs],
    ] as const) {
      for (const member of it.groups.values()) {
        expect(member.status).toMatchObject({ identity, voters: [1, 2, 3] });
        expect(member.status.role).not.toBe('closed');
      }
    }
    expect(await take(one.groups.get(1)!, 1, 2)).toEqual(['of one', 'more of one']);
    expect(await take(two.groups.get(1)!, 1, 1)).toEqual(['of two']);
  });

  test('one that has joined a group cannot be added to another one', async () => {
    const [one, two] = [await running(1), await running(1)];
    const member = await one.join(2);
    await one.groups.get(1)!.addLearner(member);
    const refused = two.groups.get(1)!.addMember(member, SOON);
    const [mine, theirs] = [
      await one.groups.get(1)!.identity(),
      await two.groups.get(1)!.identity(),
    ];
    await expect(refused).rejects.toMatchObject({
      code: 'CLUSTER_MISMATCH',
      outcome: 'notAppended',
    });
    await expect(refused).rejects.toThrow(mine);
    await expect(refused).rejects.toThrow(theirs);
    expect(two.groups.get(1)!.status).toMatchObject({ voters: [1], learners: [] });
    // Also not when it comes back and was told nothing but the other group's members.
    await one.stop(2);
    await one.open(2, { join: true, members: [member, two.members[0]!] });
    await expect(two.groups.get(1)!.addMember(member, SOON)).rejects.toMatchObject({
      code: 'CLUSTER_MISMATCH',
    });
    expect(one.groups.get(2)!.status.identity).toBe(mine);
  });
});
