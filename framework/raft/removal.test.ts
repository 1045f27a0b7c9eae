import { filter, firstValueFrom } from 'rxjs';
import { GrpcNetwork, realPorts } from '../runtime/index.ts';
import { Hello, MeetRequest, Parcel } from '../wire/gen/raft.ts';
import { encodeConfiguration, enter, leave } from './core/index.ts';
import { bytes, GroupFixture, take } from './group.fixture.ts';
import { initialConfiguration } from './group-options.ts';
import { methodsOf } from './methods.ts';
import { RaftStorage } from './storage.ts';

/** Appends the entries of a removal to the log of a member that does not run, as its leader did before it ended. */
async function beginRemoval(
  fixture: GroupFixture,
  at: number,
  removed: number,
  entries: 1 | 2,
): Promise<void> {
  const storage = await RaftStorage.open({
    ...realPorts({ directory: fixture.root }),
    directory: `${at}`,
    label: `raft group test member ${at}`,
    onFailure: (error) => {
      throw error;
    },
  });
  const { last, configurations } = await storage.shape(
    initialConfiguration(fixture.members, false),
  );
  const { configuration } = configurations.at(-1)!;
  const voters = configuration.voters.filter((it) => it !== removed);
  const joint = enter(configuration, { ...configuration, voters });
  const { term } = storage.hardState;
  const batches = [joint, leave(joint)].slice(0, entries).map((it, i) => ({
    index: last + 1 + i,
    term,
    count: 1,
    payload: encodeConfiguration(it),
  }));
  await new Promise<void>((resolve) => {
    storage.onPersisted(() => resolve());
    const nothing = { hardState: undefined, snapshot: undefined, truncateTo: undefined };
    storage.write({ sequence: 1, ...nothing, batches });
  });
  await storage.close();
}

describe('a member that is removed', () => {
  let fixture: GroupFixture;
  afterEach(() => fixture.end());

  test.each([
    [2, 0],
    [4, 1],
  ])(
    'and led, of %d with %d down, finishes its removal when it ended before the others heard of it',
    async (size, down) => {
      fixture = await GroupFixture.start(size);
      const leader = await fixture.leader();
      await leader.append([bytes('a')]);
      const lasts = async (): Promise<boolean> => {
        const { last } = leader.status;
        return [...fixture.groups.values()].every((it) => it.status.last === last);
      };
      while (!(await lasts())) await new Promise(setImmediate);
      const removed = leader.status.leader!.id;
      // All end at once: nobody may take over meanwhile.
      await Promise.all(fixture.members.map(({ id }) => fixture.stop(id)));
      const others = fixture.members.map((it) => it.id).filter((it) => it !== removed);
      const up = others.slice(0, size - 1 - down);
      await beginRemoval(fixture, removed, removed, 2);
      for (const id of up) await beginRemoval(fixture, id, removed, 1);
      await Promise.all([removed, ...up].map((it) => fixture.open(it)));
      const rest = fixture.groups.get(up[0]!)!;
      await rest.append([bytes('b')]);
      expect([...rest.status.voters].sort()).toEqual(others);
      expect(await take(rest, 1, 2)).toEqual(['a', 'b']);
    },
    20_000,
  );

  test('while it was down is told so when it comes back, and refuses what it is asked for', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    const id = [1, 2, 3].find((it) => fixture.groups.get(it) !== leader)!;
    await fixture.stop(id);
    await leader.removeMember(id);
    const back = await fixture.open(id);
    await firstValueFrom(back.status$.pipe(filter((it) => it.removed)));
    const refusal = { code: 'MEMBER_REMOVED', message: expect.stringContaining('removed') };
    await expect(back.append([bytes('x')])).rejects.toMatchObject({
      ...refusal,
      outcome: 'notAppended',
    });
    await expect(back.tail()).rejects.toMatchObject(refusal);
    expect(leader.status.removed).toBe(false);
  });

  test('is told so on a stream that it opened before, and by whoever is where it looks for others', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    // The group has its identity once something is committed.
    await leader.append([bytes('x')]);
    const id = [1, 2, 3].find((it) => fixture.groups.get(it) !== leader)!;
    await fixture.stop(id);
    const { exchange, meet } = methodsOf('test');
    const to = leader.status.leader!;
    const channel = new GrpcNetwork().connect(to.address);
    const { configuration } = leader['driver'].raft;
    const hello = Hello.create({
      groupId: 'test',
      identity: leader.status.identity!,
      from: id,
      to: to.id,
      address: fixture.members[id - 1]!.address,
      incarnation: configuration.incarnations.get(id)!,
      term: leader.status.term,
      lastIndex: leader.status.last,
    });
    const stream = channel.open(exchange);
    stream.receive(() => {});
    stream.send(Parcel.create({ hello }));
    const answer = await channel.call(meet, MeetRequest.create({ hello }));
    expect(answer.identity).toBe(hello.identity);
    await leader.removeMember(id);
    stream.send(Parcel.create({}));
    const refusal = { code: 'MEMBER_REMOVED', details: { removed: id } };
    await expect(stream.closed).rejects.toMatchObject(refusal);
    const lost = MeetRequest.create({ hello: { ...hello, to: 77 } });
    await expect(channel.call(meet, lost)).rejects.toMatchObject(refusal);
    const foreign = MeetRequest.create({ hello: { ...hello, to: 77, from: to.id + 70 } });
    await expect(channel.call(meet, foreign)).rejects.toMatchObject({ code: 'IDENTITY_MISMATCH' });
    channel.close();
  });

  test('while it runs knows it', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    await leader.removeMember(leader.status.leader!.id);
    await firstValueFrom(leader.status$.pipe(filter((it) => it.removed)));
    await expect(leader.append([bytes('x')])).rejects.toMatchObject({
      code: 'MEMBER_REMOVED',
    });
  });

  test('leaves its id behind, which nobody gets again', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    const id = [1, 2, 3].find((it) => fixture.groups.get(it) !== leader)!;
    await leader.removeMember(id);
    await fixture.stop(id);
    await fixture.wipe(id);
    await fixture.open(id, { join: true });
    const before = leader.status;
    const member = fixture.members[id - 1]!;
    for (const again of [leader.addMember(member), leader.addLearner(member)]) {
      await expect(again).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringContaining('never used twice'),
        outcome: 'notAppended',
      });
    }
    const { voters, learners, last } = leader.status;
    expect({ voters, learners, last }).toEqual({
      voters: before.voters,
      learners: [],
      last: before.last,
    });
  });
});
