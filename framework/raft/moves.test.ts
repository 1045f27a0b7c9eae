import { realPorts } from '../runtime/index.ts';
import { freeAddresses } from '../testing/free-addresses.ts';
import type { LogShape } from './core/index.ts';
import { bytes, take, World } from './group.fixture.ts';
import { initialConfiguration } from './group-options.ts';
import { RaftStorage } from './storage.ts';

async function shapeOf(world: World, id: number): Promise<LogShape> {
  const storage = await RaftStorage.open({
    ...realPorts({ directory: world.root }),
    directory: `${id}`,
    identity: `raft group test member ${id}`,
    onFailure: (error) => {
      throw error;
    },
  });
  const shape = await storage.shape(initialConfiguration(world.members, false));
  await storage.close();
  return shape;
}

describe('members that listen elsewhere than before', () => {
  let world: World;
  afterEach(() => world.end());

  const move = async (...ids: number[]): Promise<void> => {
    const addresses = await freeAddresses(ids.length);
    for (const [i, id] of ids.entries()) world.members[id - 1] = { id, address: addresses[i]! };
  };

  test('find each other again, all of them, by the list that they are started with', async () => {
    world = await World.start();
    await (await world.leader()).append([bytes('a')]);
    for (const id of [1, 2, 3]) await world.stop(id);
    await move(1, 2, 3);
    for (const id of [1, 2, 3]) await world.open(id);
    await world.groups.get(1)!.append([bytes('b')]);
    expect(await take(world.groups.get(2)!, 1, 2)).toEqual(['a', 'b']);
  });

  test('are found by those who know only the old address, and the group keeps the new one', async () => {
    world = await World.start();
    const leader = await world.leader();
    await leader.append([bytes('a')]);
    const old = [...world.members];
    const id = [1, 2, 3].find((it) => world.groups.get(it) !== leader)!;
    await world.stop(id);
    await move(id);
    await world.open(id);
    await leader.append([bytes('b')]);
    expect(await take(world.groups.get(id)!, 1, 2)).toEqual(['a', 'b']);
    // The others are started with the list of before: the log says what is newer.
    const others = [1, 2, 3].filter((it) => it !== id);
    for (const it of others) await world.stop(it);
    for (const it of others) {
      const { configurations } = await shapeOf(world, it);
      expect(configurations.at(-1)!.configuration.addresses.get(id)).toBe(
        world.members[id - 1]!.address,
      );
    }
    for (const it of others) await world.open(it, { members: old });
    await world.stop(others[0]!);
    await world.groups.get(others[1]!)!.append([bytes('c')]);
    expect(await take(world.groups.get(id)!, 1, 3)).toEqual(['a', 'b', 'c']);
  });
});
