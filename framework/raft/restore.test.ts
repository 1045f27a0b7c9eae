import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { realPorts } from '../runtime/index.ts';
import { bytes, GroupFixture, take } from './group.fixture.ts';
import { restoreLostMajority } from './restore.ts';
import { NAMES, SimulatedGroup } from './simulated.fixture.ts';

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

  /** All files, by what is in them. */
  async function contents(folder: string): Promise<Map<string, string>> {
    const found = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = found.filter((it) => it.isFile()).map((it) => join(it.parentPath, it.name));
    const all = paths.map(async (path): Promise<[string, string]> => {
      return [
        path,
        createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      ];
    });
    return new Map(await Promise.all(all));
  }

  test.each([
    ['as it was left', 0],
    ['that has a snapshot and entries behind it', 2],
    ['that has a snapshot of all of it', 5],
  ])('a member %s is only read by a dry run, which tells the same', async (_, compactTo) => {
    fixture = await GroupFixture.start(1, { retain: { entries: 0 } });
    const leader = await fixture.leader();
    for (const it of ['a', 'b', 'c', 'd']) await leader.append([bytes(it)]);
    if (compactTo > 0) await leader.compact(compactTo, bytes('the state'));
    await fixture.stop(1);
    const folder = join(fixture.root, '1');
    // What a crash in the middle of a write leaves: the next start removes it.
    const entries = (await readdir(join(folder, 'entries'))).filter((it) => /segment$/.test(it));
    const path = join(folder, 'entries', entries.at(-1)!);
    const segment = await readFile(path);
    const after = segment.findLastIndex((it) => it !== 0) + 1;
    await writeFile(path, segment.fill(0xaa, after + 8, after + 40));
    await writeFile(join(folder, 'snapshot.7'), 'a part of one');
    await writeFile(join(folder, 'hard-state.new'), 'a part of one');
    const before = await contents(folder);
    const seen = await restore(1, true);
    expect(await contents(folder)).toEqual(before);
    expect(seen).toMatchObject({ keptUpTo: 5, membersBefore: [1] });
    expect(await restore(1)).toEqual(seen);
    expect((await contents(folder)).size).toBeLessThan(before.size);
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

test('a restore that finds no room says so, and is done again once there is some', async () => {
  const group = new SimulatedGroup();
  const { world } = group;
  try {
    const leader = await group.leader();
    await group.fate(group.at(leader).append([bytes('a')]));
    for (const name of NAMES) await world.play(() => world.stop(name));
    const disk = world.disk(leader);
    const id = NAMES.indexOf(leader) + 1;
    const restore = () =>
      restoreLostMajority({
        ports: { ...world.ports('operator'), disk: disk.mount() },
        groupId: 'g',
        member: { id, address: `${leader}:1` },
        directory: 'raft',
      });
    for (const full of ['entries/', 'hard-state', 'members']) {
      disk.faults = {
        fail: ({ kind, path }) => (kind === 'write' && path.includes(full) ? 'ENOSPC' : undefined),
      };
      expect([full, (await group.fate(restore(), 10_000)).fate]).toEqual([full, 'DISK_FULL']);
      expect(disk.openFiles).toBe(0);
    }
    disk.faults = {};
    await world.play(restore);
    const { membersBefore } = await world.play(restore);
    expect(membersBefore).toEqual([id]);
  } finally {
    world.close();
  }
});
