import { filter, firstValueFrom } from 'rxjs';
import { bytes, GroupFixture, take } from './group.fixture.ts';
import type { RaftGroup } from './group.ts';
import type { RaftStatus } from './status.ts';

const seen = (group: RaftGroup, holds: (status: RaftStatus) => boolean): Promise<RaftStatus> =>
  firstValueFrom(group.status$.pipe(filter(holds)));
const votersAre =
  (...voters: number[]) =>
  (status: RaftStatus): boolean =>
    String([...status.voters].sort()) === String(voters);

describe('members of a Raft group', () => {
  let fixture: GroupFixture;
  afterEach(() => fixture.end());

  test('one is added while others append, gets everything, and votes from then on', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    let going = true;
    let appended = 0;
    const appending = (async () => {
      while (going) await leader.append([bytes(`${++appended}`)]);
    })();
    const member = await fixture.join(4);
    await fixture.follower(leader).addMember(member);
    going = false;
    await appending;
    const all = [...fixture.groups.values()];
    await Promise.all(all.map((it) => seen(it, votersAre(1, 2, 3, 4))));
    const due = Array.from({ length: appended }, (_, i) => `${i + 1}`);
    for (const it of all) expect(await take(it, 1, appended)).toEqual(due);
    // Three of four are needed now.
    for (const id of [1, 2, 3].filter((it) => fixture.groups.get(it) !== leader))
      await fixture.stop(id);
    await expect(leader.append([bytes('x')], { timeoutMs: 300 })).rejects.toThrow();
  });

  test('one that only learns gets everything, and does not count', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    await leader.append([bytes('a')]);
    const member = await fixture.join(4);
    await leader.addLearner(member);
    const learner = fixture.groups.get(4)!;
    await seen(learner, ({ learners }) => learners.includes(4));
    expect(await take(learner, 1, 1)).toEqual(['a']);
    for (const id of [1, 2, 3]) if (fixture.groups.get(id) !== leader) await fixture.stop(id);
    await expect(leader.append([bytes('b')], { timeoutMs: 500 })).rejects.toMatchObject({
      code: expect.stringMatching(/APPEND_UNKNOWN|UNAVAILABLE/),
    });
  });

  test('one takes the place of a learner, and its own without an effect', async () => {
    fixture = await GroupFixture.start(1);
    const leader = await fixture.leader();
    await leader.addLearner(await fixture.join(2));
    const member = await fixture.join(3);
    for (const replaces of [2, 2, 3])
      await leader.addMember(member, { replaces, timeoutMs: 5_000 });
    expect(leader.status).toMatchObject({ voters: [1, 3], learners: [] });
  });

  test('the leader removes itself, and another one leads', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    const { id } = leader.status.leader!;
    await leader.append([bytes('before')]);
    await leader.removeMember(id);
    const others = [1, 2, 3].filter((it) => it !== id);
    const rest = others.map((it) => fixture.groups.get(it)!);
    await Promise.all(rest.map((it) => seen(it, votersAre(...others))));
    const next = await seen(rest[0]!, (it) => others.includes(it.leader?.id ?? 0));
    expect(next.leader!.id).not.toBe(id);
    await rest[0]!.append([bytes('after')]);
    expect(await take(rest[1]!, 1, 2)).toEqual(['before', 'after']);
    expect(leader.status.role).not.toBe('leader');
  });

  test('one that is lost is replaced, and the group remembers it over a restart', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    await leader.append([bytes('kept')]);
    const lost = [1, 2, 3].find((it) => fixture.groups.get(it) !== leader)!;
    await fixture.stop(lost);
    const member = await fixture.join(4);
    await leader.addMember(member, { replaces: lost });
    const left = [1, 2, 3, 4].filter((it) => it !== lost);
    for (const id of left) await fixture.stop(id);
    // The list of members that they are started with is of no account any more.
    for (const id of left) await fixture.open(id);
    const again = await fixture.leader();
    expect(votersAre(...left)(again.status)).toBe(true);
    expect(await take(fixture.groups.get(4)!, 1, 1)).toEqual(['kept']);
    await again.append([bytes('more')]);
  });

  test('what cannot be is refused, and changes nothing', async () => {
    fixture = await GroupFixture.start(1);
    const leader = await fixture.leader();
    await expect(leader.removeMember(1)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      outcome: 'notAppended',
    });
    const nobody = { id: 0, address: '127.0.0.1:1' };
    await expect(leader.addMember(nobody)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await leader.removeMember(9);
    expect(leader.status).toMatchObject({ voters: [1], learners: [] });
  });

  test('one without whom no majority would be left is not removed, until the others are back', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    const [down, spare] = [1, 2, 3].filter((it) => fixture.groups.get(it) !== leader);
    await fixture.stop(down!);
    const before = leader.status;
    const refusal = {
      code: 'FAILED_PRECONDITION',
      outcome: 'notAppended',
      details: { silent: [down] },
    };
    await expect(leader.removeMember(spare!)).rejects.toMatchObject(refusal);
    const demoted = fixture.members[spare! - 1]!;
    await expect(leader.addLearner(demoted)).rejects.toMatchObject(refusal);
    await expect(leader.removeMember(before.leader!.id)).rejects.toMatchObject(refusal);
    expect(leader.status).toMatchObject({ voters: before.voters, changing: false });
    await fixture.open(down!);
    // Where another one is elected meanwhile, it is asked the same.
    const removed = async (): Promise<boolean> => {
      const change = (await fixture.leader()).removeMember(spare!);
      return change.then(
        () => true,
        (error: unknown) => {
          if (/APPEND_UNKNOWN|NOT_LEADER/.test(String(error))) return false;
          throw error;
        },
      );
    };
    while (!(await removed()));
    const now = await fixture.leader();
    expect(now.status.members.map((it) => it.id)).not.toContain(spare);
    await now.append([bytes('goes on')]);
  });

  test('one that does not answer is not added', async () => {
    fixture = await GroupFixture.start(1);
    const leader = await fixture.leader();
    const silent = { id: 2, address: '127.0.0.1:1' };
    await expect(leader.addMember(silent, { timeoutMs: 500 })).rejects.toMatchObject({
      code: 'UNREACHABLE',
      outcome: 'notAppended',
    });
    expect(leader.status).toMatchObject({ voters: [1], learners: [] });
    await leader.append([bytes('goes on')]);
  });
});
