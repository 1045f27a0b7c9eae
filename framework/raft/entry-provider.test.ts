import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytes, GroupFixture, take } from './group.fixture.ts';

/** Turns over the bits of a command in the files of a member that runs. */
async function damage(fixture: GroupFixture, id: number, command: string): Promise<void> {
  const folder = join(fixture.root, `${id}`, 'entries');
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
  let fixture: GroupFixture;
  afterEach(() => fixture.end());

  /** Returns the leader, which has nothing in memory and a damaged entry, and who missed all. */
  async function damaged(snapshot: boolean) {
    fixture = await GroupFixture.start();
    await fixture.leader();
    await fixture.stop(3);
    const leader = await fixture.leader();
    for (let i = 0; i < 40; i++) await leader.append([bytes(`${i}${'.'.repeat(50)}`)]);
    await fixture.stop(1);
    await fixture.stop(2);
    await fixture.open(1);
    await fixture.open(2);
    const again = await fixture.leader();
    const last = await again.append([bytes('last')]);
    await damage(fixture, again.status.leader!.id, '10.....');
    if (snapshot) await again.compact(last, bytes('state'));
    return { again, last, behind: await fixture.open(3) };
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
