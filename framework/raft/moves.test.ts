import { realPorts } from '../runtime/index.ts';
import { freeAddresses } from '../testing/free-addresses.ts';
import type { LogShape } from './core/index.ts';
import { bytes, GroupFixture, take } from './group.fixture.ts';
import { initialConfiguration } from './group-options.ts';
import { RaftStorage } from './storage.ts';

async function shapeOf(fixture: GroupFixture, id: number): Promise<LogShape> {
  const storage = await RaftStorage.open({
    ...realPorts({ directory: fixture.root }),
    directory: `${id}`,
    label: `raft group test member ${id}`,
    onFailure: (error) => {
      throw error;
    },
  });
  const shape = await storage.shape(initialConfiguration(fixture.members, false));
  await storage.close();
  return shape;
}

describe('members that listen elsewhere than before', () => {
  let fixture: GroupFixture;
  afterEach(() => fixture.end());

  const move = async (...ids: number[]): Promise<void> => {
    const addresses = await freeAddresses(ids.length);
    for (const [i, id] of ids.entries()) fixture.members[id - 1] = { id, address: addresses[i]! };
  };

  test('find each other again, all of them, by the list that they are started with', async () => {
    fixture = await GroupFixture.start();
    await (await fixture.leader()).append([bytes('a')]);
    for (const id of [1, 2, 3]) await fixture.stop(id);
    await move(1, 2, 3);
    for (const id of [1, 2, 3]) await fixture.open(id);
    await fixture.groups.get(1)!.append([bytes('b')]);
    expect(await take(fixture.groups.get(2)!, 1, 2)).toEqual(['a', 'b']);
  });

  test('are found by those who know only the old address, and the group keeps the new one', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    await leader.append([bytes('a')]);
    const old = [...fixture.members];
    const id = [1, 2, 3].find((it) => fixture.groups.get(it) !== leader)!;
    await fixture.stop(id);
    await move(id);
    await fixture.open(id);
    await leader.append([bytes('b')]);
    expect(await take(fixture.groups.get(id)!, 1, 2)).toEqual(['a', 'b']);
    // The others are started with the list of before: the log says what is newer.
    const others = [1, 2, 3].filter((it) => it !== id);
    for (const it of others) await fixture.stop(it);
    for (const it of others) {
      const { configurations } = await shapeOf(fixture, it);
      expect(configurations.at(-1)!.configuration.addresses.get(id)).toBe(
        fixture.members[id - 1]!.address,
      );
    }
    for (const it of others) await fixture.open(it, { members: old });
    await fixture.stop(others[0]!);
    await fixture.groups.get(others[1]!)!.append([bytes('c')]);
    expect(await take(fixture.groups.get(id)!, 1, 3)).toEqual(['a', 'b', 'c']);
  });
});
