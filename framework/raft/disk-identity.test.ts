import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { filter, firstValueFrom, lastValueFrom, timer } from 'rxjs';
import type { VarlogError } from '../base/index.ts';
import { jsonFormat, StateFile } from '../store/index.ts';
import { SeededRandom, SimulatedDisk } from '../testing/index.ts';
import { DiskIdentity } from './disk-identity.ts';
import { bytes, GroupFixture, take } from './group.fixture.ts';

/** Opens a member and resolves with the error by which it ends. */
function failureOf(fixture: GroupFixture, id: number): Promise<VarlogError> {
  return new Promise((resolve, reject) => {
    fixture.open(id, { onFailure: resolve }).catch(reject);
  });
}

describe('a member whose disk was lost', () => {
  let fixture: GroupFixture;
  afterEach(() => fixture.end());

  test('ends with an error that says so, and another one takes its place', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    await leader.append([bytes('kept')]);
    const lost = [1, 2, 3].find((it) => fixture.groups.get(it) !== leader)!;
    await fixture.stop(lost);
    await fixture.wipe(lost);
    expect(await failureOf(fixture, lost)).toMatchObject({ code: 'DISK_LOST' });
    expect(fixture.groups.get(lost)!.status.role).toBe('closed');
    await leader.append([bytes('more')]);
    const member = await fixture.join(4);
    await leader.addMember(member, { replaces: lost });
    expect(await take(fixture.groups.get(4)!, 1, 2)).toEqual(['kept', 'more']);
  });

  test('does not vote for one that was away ever since the group began', async () => {
    fixture = await GroupFixture.start();
    await fixture.leader();
    await fixture.stop(1);
    const leader = await fixture.leader();
    await leader.append([bytes('of 2 and 3')]);
    await fixture.stop(2);
    await fixture.stop(3);
    await fixture.wipe(3);
    const one = await fixture.open(1);
    expect(await failureOf(fixture, 3)).toMatchObject({ code: 'DISK_LOST' });
    expect(one.status.leader).toBeUndefined();
    await fixture.stop(3);
    await fixture.open(2);
    await fixture.leader();
    expect(await take(one, 1, 1)).toEqual(['of 2 and 3']);
  });

  test('in part does not vote: without its hard state, and with an older one', async () => {
    fixture = await GroupFixture.start(1);
    await (await fixture.leader()).append([bytes('kept')]);
    await fixture.stop(1);
    const hardState = join(fixture.root, '1', 'hard-state');
    const older = join(fixture.root, 'older');
    await cp(hardState, older);
    await fixture.open(1);
    await (await fixture.leader()).append([bytes('of a later term')]);
    await fixture.stop(1);
    await rm(hardState);
    await expect(fixture.open(1)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(/no hard state.*voted.*put the whole folder back/),
    });
    await cp(older, hardState);
    await expect(fixture.open(1)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(/a hard state of term 1 and entries of term 2/),
    });
    // Also before it had anything of the group's log: the folder says whose it is.
    await rm(join(fixture.root, '1', 'entries'), { recursive: true });
    await rm(hardState);
    await expect(fixture.open(1)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  test('with no entries is not the beginning of its group once more', async () => {
    fixture = await GroupFixture.start(1);
    const alone = await fixture.leader();
    await alone.append([bytes('kept')]);
    await alone.identity();
    await fixture.stop(1);
    const entries = join(fixture.root, '1', 'entries');
    await rename(entries, join(fixture.root, 'entries'));
    await expect(fixture.open(1)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(/nothing of the log.*only member.*put the whole folder back/),
    });
    await rename(join(fixture.root, 'entries'), entries);
    await fixture.open(1);
    expect(await take(await fixture.leader(), 1, 1)).toEqual(['kept']);
  });

  test('is noticed too when an older copy of its disk is put in its place', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    const id = [1, 2, 3].find((it) => fixture.groups.get(it) !== leader)!;
    const acknowledged = async (index: number): Promise<void> => {
      const match = () => leader.metrics.members.find((it) => it.id === id)?.match ?? 0;
      while (match() < index) await firstValueFrom(timer(10));
    };
    await acknowledged(await leader.append([bytes('old')]));
    await fixture.stop(id);
    await fixture.copy(id, 'before');
    await fixture.open(id);
    await acknowledged(await leader.append([bytes('new')]));
    await fixture.stop(id);
    // A copy of now does no harm.
    await fixture.copy(id, 'now');
    await fixture.putBack(id, 'now');
    await fixture.open(id);
    await acknowledged(await leader.append([bytes('newer')]));
    await fixture.stop(id);
    await fixture.putBack(id, 'before');
    expect(await failureOf(fixture, id)).toMatchObject({
      code: 'DISK_LOST',
      message: expect.stringContaining('earlier copy'),
    });
  });

  test('cannot come back under its id by being added', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    const lost = [1, 2, 3].find((it) => fixture.groups.get(it) !== leader)!;
    await fixture.stop(lost);
    await fixture.wipe(lost);
    await fixture.open(lost, { join: true });
    const member = fixture.members.find((it) => it.id === lost)!;
    await expect(leader.addMember(member)).rejects.toMatchObject({ code: 'DISK_LOST' });
  });
});

describe('a new group', () => {
  let fixture: GroupFixture;
  afterEach(() => fixture.end());

  test('begins when all its members have met, and then needs a majority only', async () => {
    fixture = await GroupFixture.prepare(3);
    const one = await fixture.open(1);
    await fixture.open(2);
    await expect(one.append([bytes('x')], { timeoutMs: 1_500 })).rejects.toMatchObject({
      outcome: 'notAppended',
    });
    // What was found out until now survives.
    await fixture.stop(2);
    await fixture.open(3);
    await fixture.open(2);
    const leader = await fixture.leader();
    await leader.append([bytes('a')]);
    const other = fixture.follower(leader).status;
    expect(other.voters).toEqual([1, 2, 3]);
    const [follower] = [1, 2, 3].filter((it) => fixture.groups.get(it) !== leader);
    await fixture.stop(follower!);
    await leader.append([bytes('b')]);
  });

  test('that is closed before it begins ends cleanly', async () => {
    fixture = await GroupFixture.prepare(2);
    const one = await fixture.open(1);
    const closed = lastValueFrom(one.status$);
    await fixture.stop(1);
    expect((await closed).role).toBe('closed');
    await expect(firstValueFrom(one.status$.pipe(filter(() => false)))).rejects.toThrow();
  });
});

describe('what a member knows of other disks', () => {
  test('is not answered for before it is written, however often it is told', async () => {
    const disk = new SimulatedDisk({ random: new SeededRandom(1) });
    const options = { disk, random: new SeededRandom(2), directory: 'raft', label: 'a member' };
    const known = await DiskIdentity.open(options);
    const answered: string[] = [];
    // The disk fills up for a moment: the first that asks is not answered, and neither is the second.
    disk.faults = { fail: ({ kind }) => (kind === 'rename' ? 'ENOSPC' : undefined) };
    const asked = ['first', 'second'].map((it) =>
      known.record(2, 'the disk of 2', false).then(
        () => answered.push(it),
        () => {},
      ),
    );
    await Promise.all(asked);
    expect(answered).toEqual([]);
    disk.faults = {};
    await known.record(2, 'the disk of 2', false);
    const { value } = await StateFile.open(disk, 'raft/members', 'a member', jsonFormat<object>());
    expect(value).toMatchObject({ others: [[2, 'the disk of 2', false]] });
  });
});
