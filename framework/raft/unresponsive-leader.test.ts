import { bytes, SimulatedGroup } from './simulated.fixture.ts';

let group: SimulatedGroup;
afterEach(() => group.world.close());

describe('a leader that was lost', () => {
  test('by its silence is known to whoever takes its place, with how long it lasted', async () => {
    group = new SimulatedGroup({ electionTimeoutMs: 1_000 });
    const before = await group.leader();
    const { address } = group.at(before).status.leader!;
    group.world.pause(before);
    const after = await group.leader(before);
    const { lostLeader } = group.at(after);
    expect(lostLeader?.address).toBe(address);
    expect(lostLeader!.silentMs).toBeGreaterThanOrEqual(1_000);
    expect(lostLeader!.silentMs).toBeLessThanOrEqual(2_000);
    // It follows another one now, and has missed nobody since.
    group.world.resume(before);
    group.world.pause(after);
    const third = await group.leader(after);
    expect(group.at(third).lostLeader?.address).toBe(`${after}:1`);
  });

  test('by its connection is known too, and has not been silent', async () => {
    group = new SimulatedGroup();
    const before = await group.leader();
    const { address } = group.at(before).status.leader!;
    group.world.crash(before);
    const after = await group.leader(before);
    expect(group.at(after).lostLeader).toMatchObject({ address, silentMs: 0 });
    const other = group.followers(after)[0];
    await group.world.until(() => group.at(other).status.leader?.address === `${after}:1`);
    expect(group.at(other).lostLeader).toBeUndefined();
  });

  test('by its connection, with its last messages still in hand, is replaced within less than an election timeout', async () => {
    for (let round = 0; round < 16; round++) {
      group = new SimulatedGroup({ electionTimeoutMs: 1_000 });
      const before = await group.leader();
      const [one] = group.followers(before);
      const append = (): void => {
        group
          .at(one)
          .append([bytes('x')])
          .then(append, () => {});
      };
      for (let i = 0; i < 5; i++) append();
      await group.world.run(5 + round * 0.17);
      group.world.crash(before);
      const lostMs = group.world.nowMs;
      await group.leader(before);
      expect(group.world.nowMs - lostMs).toBeLessThan(500);
      group.world.close();
    }
  }, 120_000);

  test('because it handed over is not taken for one that is gone', async () => {
    group = new SimulatedGroup();
    const first = await group.leader();
    group.at(first).resign('for a test');
    const second = await group.leader(first);
    expect(group.at(second).lostLeader).toBeUndefined();
  });

  test('has told with each heartbeat that it leads, and followers tell nothing', async () => {
    const beats: number[] = [];
    group = new SimulatedGroup({
      heartbeatMs: 250,
      onHeartbeat: () => beats.push(group.world.nowMs),
    });
    await group.leader();
    await group.world.run(1_000);
    beats.length = 0;
    await group.world.run(5_000);
    // One member, although all were given the same to call.
    expect(Math.abs(beats.length - 20)).toBeLessThanOrEqual(1);
  });
});

describe('a leader that falls silent without breaking a connection', () => {
  test('holds up nobody for longer than an election', async () => {
    group = new SimulatedGroup();
    const leader = await group.leader();
    const [one, two] = group.followers(leader);
    group.world.pause(leader);
    await group.world.run(100);
    const appended = group.at(one).append([bytes('x')]);
    const tail = group.at(two).tail();
    const changed = group.at(one).addLearner({ id: 9, address: 'nowhere:1' }, { timeoutMs: 4_000 });
    const change = group.fate(changed);
    const { fate, ms } = await group.fate(appended);
    expect(fate).toBe('APPEND_UNKNOWN unknown');
    expect(ms).toBeLessThan(2_500);
    const read = await group.fate(tail);
    expect(read.fate).toEqual(expect.any(Number));
    expect(read.ms).toBeLessThan(500);
    // The new leader was asked, and could not reach whom it was to add.
    expect((await change).fate).toBe('UNREACHABLE notAppended');
  });

  test('does not outlast the time of a caller whose read travels with another one', async () => {
    group = new SimulatedGroup();
    const leader = await group.leader();
    const [one, two] = group.followers(leader);
    // Nobody can be elected in its place.
    group.world.crash(two);
    group.world.pause(leader);
    await group.world.run(100);
    const long = group.at(one).tail({ timeoutMs: 20_000 });
    const short = group.at(one).tail({ timeoutMs: 300 });
    const append = group.at(one).append([bytes('x')], { timeoutMs: 300 });
    const appended = group.fate(append);
    const { fate, ms } = await group.fate(short);
    expect([fate, ms < 600]).toEqual(['UNAVAILABLE', true]);
    expect((await appended).fate).toBe('APPEND_UNKNOWN unknown');
    const closed = group.fate(long);
    await group.world.play(() => group.at(one).close());
    expect((await closed).fate).toBe('CLOSED');
  });

  test('and a member that cannot be met is named, wherever it is asked for', async () => {
    group = new SimulatedGroup();
    const leader = await group.leader();
    const { world } = group;
    world.node('d', async (ports) => ports.network.serve('d:1', []));
    await world.started();
    world.pause('d');
    for (const name of [leader, group.followers(leader)[0]]) {
      for (const address of ['nowhere:1', 'd:1']) {
        const added = group.at(name).addMember({ id: 9, address }, { timeoutMs: 1_500 });
        const error = await world.play(() => added.catch((it: Error) => it));
        expect(error).toMatchObject({ code: 'UNREACHABLE', outcome: 'notAppended' });
        expect((error as Error).message).toContain(`member 9 at ${address}`);
      }
    }
  });

  test('close settles what was asked of the leader, of every kind', async () => {
    group = new SimulatedGroup();
    const leader = await group.leader();
    const [one] = group.followers(leader);
    group.world.pause(leader);
    await group.world.run(50);
    const member = group.at(one);
    const asked: Promise<unknown>[] = [
      member.tail(),
      member.append([bytes('x')]),
      member.addLearner({ id: 9, address: 'nowhere:1' }),
      member.removeMember(9),
      member.compact(1_000, bytes('state')),
      member.follow(1_000)[Symbol.asyncIterator]().next(),
    ];
    for (const it of asked) it.catch(() => {});
    await group.world.run(20);
    await group.world.play(() => member.close());
    const settled: unknown[] = [];
    for (const it of asked) settled.push((await group.fate(it, 300)).fate);
    expect(settled).toEqual(['CLOSED', 'CLOSED unknown', 'CLOSED', 'CLOSED', 'CLOSED', 'CLOSED']);
  });
});
