import { filter, firstValueFrom } from 'rxjs';
import { sleep } from '../base/index.ts';
import { realClock, realPorts } from '../runtime/index.ts';
import { bytes, GroupFixture, take } from './group.fixture.ts';
import { RaftGroup } from './group.ts';

describe('a Raft group', () => {
  let fixture: GroupFixture;
  afterEach(() => fixture.end());

  test('orders appends from every member and shows all the same', async () => {
    fixture = await GroupFixture.start();
    await fixture.leader();
    const groups = [...fixture.groups.values()];
    const appends = Array.from({ length: 60 }, (_, i) => groups[i % 3]!.append([bytes(`${i}`)]));
    const positions = await Promise.all(appends);
    expect(new Set(positions).size).toBe(60);
    const [first, ...others] = await Promise.all(groups.map((it) => take(it, 1, 60)));
    expect([...first!].sort()).toEqual(Array.from({ length: 60 }, (_, i) => `${i}`).sort());
    for (const other of others) expect(other).toEqual(first);
  });

  test('a tail read anywhere sees what was acknowledged before', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    const follower = fixture.follower(leader);
    for (let i = 0; i < 20; i++) {
      const position = await follower.append([bytes('a'), bytes('b')]);
      for (const group of fixture.groups.values()) {
        expect(await group.tail()).toBeGreaterThanOrEqual(position + 1);
      }
    }
  });

  test('may be closed by whom its end is told', async () => {
    fixture = await GroupFixture.start(1);
    const leader = await fixture.leader();
    let inner: Promise<void> | undefined;
    leader.status$.subscribe({ complete: () => (inner = leader.close()) });
    const outer = leader.close();
    expect(inner).toBe(outer);
    await outer;
  });

  test('goes on when the leader is gone, and takes it back', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    await leader.append([bytes('before')]);
    const { id } = leader.status.leader!;
    await fixture.stop(id);
    const next = await fixture.leader();
    await next.append([bytes('after')]);
    const back = await fixture.open(id);
    expect(await take(back, 1, 2)).toEqual(['before', 'after']);
  });

  test('remembers everything over a restart of all members', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    await leader.append([bytes('kept')]);
    const { term } = leader.status;
    for (const id of [1, 2, 3]) await fixture.stop(id);
    for (const id of [1, 2, 3]) await fixture.open(id);
    const next = await fixture.leader();
    expect(next.status.term).toBeGreaterThan(term);
    expect(await take(next, 1, 1)).toEqual(['kept']);
  });

  test('gives a snapshot to a member that lacks what was compacted', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    const away = fixture.follower(leader);
    const id = [...fixture.groups].find(([, it]) => it === away)![0];
    await fixture.stop(id);
    const many = Array.from({ length: 6_000 }, (_, i) => bytes(`${i}`));
    await leader.append(many);
    const last = await leader.append(many);
    await leader.compact(last + 5_998, bytes('state'));
    const follower = await fixture.open(id);
    expect(await take(follower, 1, 2)).toEqual(['snapshot state', '5999']);
    await fixture.stop(id);
    expect(await take(await fixture.open(id), 1, 2)).toEqual(['snapshot state', '5999']);
  }, 20_000);

  test('tells how far it is, and what it has been through', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    const follower = fixture.follower(leader);
    const positions: { commit: number; applied: number }[] = [];
    const watching = follower.positions$.subscribe((it) => positions.push(it));
    const index = await leader.append([bytes('a'), bytes('b')]);
    expect(await take(follower, 1, 2)).toEqual(['a', 'b']);
    // It has taken what was given to it once it asks for more.
    const enough = new AbortController();
    const { signal } = enough;
    const more = follower.follow(index, { signal })[Symbol.asyncIterator]();
    await more.next();
    const wanted = { commit: index + 1, applied: index + 1 };
    const waiting = firstValueFrom(
      follower.positions$.pipe(
        filter((it) => it.commit >= wanted.commit && it.applied >= wanted.applied),
      ),
    );
    const rest = more.next();
    expect(await waiting).toEqual(wanted);
    enough.abort();
    await rest;
    watching.unsubscribe();
    expect(positions.every((it, i) => i === 0 || it.commit >= positions[i - 1]!.commit)).toBe(true);
    const { campaigns, queuedBytes, leaderChanges } = leader.metrics;
    expect([campaigns, queuedBytes, leaderChanges]).toEqual([1, 0, 1]);
    // One that a majority needs not may still be looked for.
    const modes = (): string[] => leader.metrics.members.map((it) => it.mode);
    while (modes().includes('probe')) await sleep(realClock(), 5);
    expect(modes()).toEqual(['replicate', 'replicate']);
    expect(follower.metrics).toMatchObject({ members: [], snapshotsInstalled: 0 });
  });

  test('hands leadership over when asked', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    await leader.transferLeadership();
    expect(leader.status.role).not.toBe('leader');
    const next = await fixture.leader();
    expect(next).not.toBe(leader);
    await leader.append([bytes('on')]);
  });

  test('says for certain that nothing was appended while there is no leader', async () => {
    fixture = await GroupFixture.start();
    const leader = await fixture.leader();
    const alone = fixture.follower(leader);
    for (const [id, group] of fixture.groups) if (group !== alone) await fixture.stop(id);
    await firstValueFrom(alone.status$.pipe(filter((it) => it.leader === undefined)));
    await expect(alone.append([bytes('x')], { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      outcome: 'notAppended',
    });
    await expect(alone.tail({ timeoutMs: 100 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('does not pass appends on when it is told not to', async () => {
    fixture = await GroupFixture.start(3, { forward: false });
    const leader = await fixture.leader();
    const follower = fixture.follower(leader);
    await firstValueFrom(follower.status$.pipe(filter((it) => it.leader !== undefined)));
    await expect(follower.append([bytes('x')])).rejects.toMatchObject({
      code: 'NOT_LEADER',
      outcome: 'notAppended',
      details: { leader: leader.status.leader!.address },
    });
  });

  test('a folder of another member is refused', async () => {
    fixture = await GroupFixture.start(1);
    await fixture.leader();
    await fixture.stop(1);
    const open = RaftGroup.open({
      ports: realPorts({ directory: (fixture as unknown as { root: string }).root }),
      groupId: 'test',
      memberId: 2,
      members: [{ id: 2, address: '127.0.0.1:1' }],
      directory: '1',
    });
    await expect(open).rejects.toMatchObject({ code: 'IDENTITY_MISMATCH' });
  });

  test('close fails what waits and may be repeated', async () => {
    fixture = await GroupFixture.start(1);
    const leader = await fixture.leader();
    const following = take(leader, 1_000, 1);
    const closing = Promise.all([leader.close(), leader.close()]);
    await expect(following).rejects.toMatchObject({ code: 'CLOSED' });
    await closing;
    await expect(leader.append([bytes('x')])).rejects.toMatchObject({
      code: 'CLOSED',
      outcome: 'notAppended',
    });
  });
});
