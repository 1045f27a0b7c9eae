import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { realPorts } from '../runtime/index.ts';
import { jsonFormat, StateFile } from '../store/index.ts';
import { Message, MessageKind, Parcel } from '../wire/gen/raft.ts';
import { bytes, GroupFixture, take } from './group.fixture.ts';
import { methodsOf } from './methods.ts';
import { restoreLostMajority } from './restore.ts';
import { hardStateFormat } from './stored-values.ts';

const IDENTITY = /^[0-9a-f]{32}$/;
const SOON = { timeoutMs: 1_500 };

describe('the identity of a group', () => {
  const fixtures: GroupFixture[] = [];
  const fixture = async (size = 3): Promise<GroupFixture> => {
    const made = await GroupFixture.prepare(size);
    fixtures.push(made);
    return made;
  };
  const running = async (size = 3): Promise<GroupFixture> => {
    const made = await fixture(size);
    for (let id = 1; id <= size; id++) await made.open(id);
    return made;
  };
  afterEach(async () => {
    for (const it of fixtures.splice(0)) await it.end();
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
    const ports = realPorts({ directory: one.root, logLevel: 'silent' });
    await restoreLostMajority({ ports, groupId: 'test', member: one.members[0]!, directory: '1' });
    const restored = await one.open(1);
    await restored.append([bytes('b')]);
    expect(await restored.identity()).toBe(identity);
  });

  test('is waited for, and no longer than was asked for', async () => {
    const one = await fixture();
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
    // The first three addresses of a group of five are those of the other group.
    const two = await fixture(5);
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

  test('is asked for by one that is behind, when a leader speaks to it that joined later', async () => {
    const one = await running();
    const identity = await one.groups.get(1)!.identity();
    const leader = await one.leader();
    expect(await one.groups.get(3)!.identity()).toBe(identity);
    if (leader.status.leader!.id === 3) await leader.transferLeadership(1);
    await one.stop(3);
    // Back to what it knew when it had met the others, and nothing was committed.
    await rm(join(one.root, '3', 'entries'), { recursive: true });
    const { disk } = realPorts({ directory: one.root });
    const label = 'raft group test member 3';
    const hardState = await StateFile.open(disk, '3/hard-state', label, hardStateFormat);
    await hardState.write({ term: 0, vote: 0 });
    const format = jsonFormat<{ identity: string }>();
    const file = await StateFile.open(disk, '3/members', label, format);
    const known = file.value!;
    expect(known.identity).toBe(identity);
    await file.write({ ...known, identity: '' });
    for (const id of [1, 2]) {
      await one.stop(id);
      await one.open(id);
    }
    await (await one.leader()).addMember(await one.join(4));
    while (one.groups.get(4)!.status.role !== 'leader') {
      await (await one.leader()).transferLeadership(4);
    }
    const three = await one.open(3);
    expect(three.status.identity).toBeUndefined();
    expect(await three.identity()).toBe(identity);
    await one.groups.get(4)!.append([bytes('of four')]);
    expect(await take(three, 1, 1)).toEqual(['of four']);
  }, 20_000);

  test('is of no account to who sends messages and does not say who it is', async () => {
    const one = await running(1);
    const { term } = (await one.leader()).status;
    const channel = realPorts({ directory: one.root }).network.connect(one.members[0]!.address);
    const stream = channel.open(methodsOf('test').exchange);
    stream.receive(() => {});
    const vote = Message.create({ kind: MessageKind.VOTE, term: term + 7, flag: true });
    stream.send(Parcel.create({ messages: [vote] }));
    await expect(stream.closed).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(one.groups.get(1)!.status).toMatchObject({ term, role: 'leader' });
    channel.close();
  });
});
