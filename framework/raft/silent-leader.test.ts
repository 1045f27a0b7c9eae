import { bytes, SimulatedGroup } from './simulated.fixture.ts';

let group: SimulatedGroup;
afterEach(() => group.world.close());

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
    const fates = [
      member.tail(),
      member.append([bytes('x')]),
      member.addLearner({ id: 9, address: 'nowhere:1' }),
      member.removeMember(9),
      member.compact(1_000, bytes('state')),
      member.follow(1_000)[Symbol.asyncIterator]().next(),
    ].map((it) => group.fate(it as Promise<unknown>, 300));
    await group.world.run(20);
    await group.world.play(() => member.close());
    const settled = (await Promise.all(fates)).map((it) => it.fate);
    expect(settled).toEqual(['CLOSED', 'CLOSED unknown', 'CLOSED', 'CLOSED', 'CLOSED', 'CLOSED']);
  });
});
