import { filter, firstValueFrom, lastValueFrom, timer } from 'rxjs';
import type { VarlogError } from '../base/index.ts';
import { bytes, take, World } from './group.fixture.ts';

/** Opens a member and resolves with the error by which it ends. */
function failureOf(world: World, id: number): Promise<VarlogError> {
  return new Promise((resolve, reject) => {
    world.open(id, { onFailure: resolve }).catch(reject);
  });
}

describe('a member whose disk was lost', () => {
  let world: World;
  afterEach(() => world.end());

  test('ends with an error that says so, and another one takes its place', async () => {
    world = await World.start();
    const leader = await world.leader();
    await leader.append([bytes('kept')]);
    const lost = [1, 2, 3].find((it) => world.groups.get(it) !== leader)!;
    await world.stop(lost);
    await world.wipe(lost);
    expect(await failureOf(world, lost)).toMatchObject({ code: 'DISK_LOST' });
    expect(world.groups.get(lost)!.status.role).toBe('closed');
    await leader.append([bytes('more')]);
    const member = await world.join(4);
    await leader.addMember(member, { replaces: lost });
    expect(await take(world.groups.get(4)!, 1, 2)).toEqual(['kept', 'more']);
  });

  test('does not vote for one that was away ever since the group began', async () => {
    world = await World.start();
    await world.leader();
    await world.stop(1);
    const leader = await world.leader();
    await leader.append([bytes('of 2 and 3')]);
    await world.stop(2);
    await world.stop(3);
    await world.wipe(3);
    const one = await world.open(1);
    expect(await failureOf(world, 3)).toMatchObject({ code: 'DISK_LOST' });
    expect(one.status.leader).toBeUndefined();
    await world.stop(3);
    await world.open(2);
    await world.leader();
    expect(await take(one, 1, 1)).toEqual(['of 2 and 3']);
  });

  test('is noticed too when an older copy of its disk is put in its place', async () => {
    world = await World.start();
    const leader = await world.leader();
    const id = [1, 2, 3].find((it) => world.groups.get(it) !== leader)!;
    const acknowledged = async (index: number): Promise<void> => {
      const match = () => leader.metrics.members.find((it) => it.id === id)?.match ?? 0;
      while (match() < index) await firstValueFrom(timer(10));
    };
    await acknowledged(await leader.append([bytes('old')]));
    await world.stop(id);
    await world.copy(id, 'before');
    await world.open(id);
    await acknowledged(await leader.append([bytes('new')]));
    await world.stop(id);
    // A copy of now does no harm.
    await world.copy(id, 'now');
    await world.putBack(id, 'now');
    await world.open(id);
    await acknowledged(await leader.append([bytes('newer')]));
    await world.stop(id);
    await world.putBack(id, 'before');
    expect(await failureOf(world, id)).toMatchObject({
      code: 'DISK_LOST',
      message: expect.stringContaining('earlier copy'),
    });
  });

  test('cannot come back under its id by being added', async () => {
    world = await World.start();
    const leader = await world.leader();
    const lost = [1, 2, 3].find((it) => world.groups.get(it) !== leader)!;
    await world.stop(lost);
    await world.wipe(lost);
    await world.open(lost, { join: true });
    const member = world.members.find((it) => it.id === lost)!;
    await expect(leader.addMember(member)).rejects.toMatchObject({ code: 'DISK_LOST' });
  });
});

describe('a new group', () => {
  let world: World;
  afterEach(() => world.end());

  test('begins when all its members have met, and then needs a majority only', async () => {
    world = await World.prepare(3);
    const one = await world.open(1);
    await world.open(2);
    await expect(one.append([bytes('x')], { timeoutMs: 1_500 })).rejects.toMatchObject({
      outcome: 'notAppended',
    });
    // What was found out until now survives.
    await world.stop(2);
    await world.open(3);
    await world.open(2);
    const leader = await world.leader();
    await leader.append([bytes('a')]);
    const other = world.follower(leader).status;
    expect(other.voters).toEqual([1, 2, 3]);
    const [follower] = [1, 2, 3].filter((it) => world.groups.get(it) !== leader);
    await world.stop(follower!);
    await leader.append([bytes('b')]);
  });

  test('that is closed before it begins ends cleanly', async () => {
    world = await World.prepare(2);
    const one = await world.open(1);
    const closed = lastValueFrom(one.status$);
    await world.stop(1);
    expect((await closed).role).toBe('closed');
    await expect(firstValueFrom(one.status$.pipe(filter(() => false)))).rejects.toThrow();
  });
});
