import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytes, take, World } from './group.fixture.ts';

/** Turns over the bits of a command in the files of a member that runs. */
async function damage(world: World, id: number, command: string): Promise<void> {
  const folder = join(world.root, `${id}`, 'entries');
  for (const name of await readdir(folder)) {
    const at = (await readFile(join(folder, name))).indexOf(command);
    if (at < 0) continue;
    const file = await open(join(folder, name), 'r+');
    await file.write(
      bytes(command).map((it) => it ^ 0xff),
      0,
      command.length,
      at,
    );
    await file.close();
    return;
  }
  throw new Error(`${command} is nowhere`);
}

describe('a member that is far behind, and needs an entry that is damaged at the leader', () => {
  let world: World;
  afterEach(() => world.end());

  /** Returns the leader, which has nothing in memory and a damaged entry, and who missed all. */
  async function damaged(snapshot: boolean) {
    world = await World.start();
    await world.leader();
    await world.stop(3);
    const leader = await world.leader();
    for (let i = 0; i < 40; i++) await leader.append([bytes(`${i}${'.'.repeat(50)}`)]);
    await world.stop(1);
    await world.stop(2);
    await world.open(1);
    await world.open(2);
    const again = await world.leader();
    const last = await again.append([bytes('last')]);
    await damage(world, again.status.leader!.id, '10.....');
    if (snapshot) await again.compact(last, bytes('state'));
    return { again, last, behind: await world.open(3) };
  }

  test('gets it from another one, to which the leader hands over', async () => {
    const { again, last, behind } = await damaged(false);
    const taken = await take(behind, 1, 41);
    expect(taken.at(-1)).toBe('last');
    expect(again.status.role).not.toBe('leader');
    expect(behind.status.commit).toBeGreaterThanOrEqual(last);
  });

  test('gets the snapshot instead, where that stands for it', async () => {
    const { again, last, behind } = await damaged(true);
    expect(await take(behind, 1, 1)).toEqual(['snapshot state']);
    expect(behind.status.commit).toBeGreaterThanOrEqual(last);
    expect(again.status.role).toBe('leader');
  });
});
