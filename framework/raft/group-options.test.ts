import { World } from '../testing/index.ts';
import { bytes, GroupFixture } from './group.fixture.ts';
import { RaftGroup, type RaftGroupOptions, RaftHost } from './index.ts';

const NO_NUMBER = ['5', -1, Number.NaN, null, {}];
const NO_COUNT = [...NO_NUMBER, 0, 1.5];
const NO_FLAG = ['false', 1, null];
const NO_FUNCTION = ['x', 1, null, {}];
const NO_TEXT = ['', 1, null, {}];
const NO_SIGNAL = ['now', 1, null, {}, new AbortController()];

/** Says what was taken, or how it was refused. */
async function outcomeOf(made: () => unknown): Promise<unknown> {
  return (async () => made())().then(
    () => 'it was taken',
    (error: unknown) => error,
  );
}

const refusal = (name: string): object => ({
  code: 'INVALID_ARGUMENT',
  message: expect.stringContaining(name),
});

test.each<[string, readonly unknown[]]>([
  ['join', NO_FLAG],
  ['leaseReads', NO_FLAG],
  ['forward', NO_FLAG],
  ['preferredLeader', NO_COUNT],
  ['timeoutMs', NO_NUMBER],
  ['queuedBytesMax', NO_NUMBER],
  ['electionTimeoutMs', NO_NUMBER],
  ['heartbeatMs', NO_NUMBER],
  ['retain', [5, null, { entires: 5 }, { entries: '5' }, { bytes: Number.NaN }]],
  ['onHeartbeat', NO_FUNCTION],
  ['onFailure', NO_FUNCTION],
  ['directory', NO_TEXT],
  ['members', [undefined, null, 'x', [], [{ id: 2, address: 'a:1' }]]],
  ['retainEntries', [5]],
])('no member is opened with a bad %s, and the message names it', async (option, values) => {
  const world = new World(1, { guard: false });
  const options: RaftGroupOptions = {
    ports: world.ports('a'),
    groupId: 'g',
    memberId: 1,
    members: [{ id: 1, address: 'a:1' }],
    directory: 'raft',
  };
  for (const value of values) {
    const given = { ...options, [option]: value } as RaftGroupOptions;
    expect(await outcomeOf(() => RaftGroup.open(given))).toMatchObject(refusal(option));
  }
  world.close();
});

test('no host is opened with options that make no sense', async () => {
  const world = new World(1, { guard: false });
  const options = { ports: world.ports('a'), address: 'a:1', directory: 'raft' };
  for (const [name, value] of [
    ['address', ''],
    ['directory', undefined],
    ['heartbeatMs', '5'],
    ['leaseReads', true],
  ] as const) {
    const opened = outcomeOf(() => RaftHost.open({ ...options, [name]: value } as never));
    expect(await opened).toMatchObject(refusal(name));
  }
  world.close();
});

test('no call is made with limits, positions and members that are none', async () => {
  const fixture = await GroupFixture.start(1);
  try {
    const group = await fixture.leader();
    const member = { id: 2, address: '127.0.0.1:1' };
    const calls: Record<string, (limits: object) => unknown> = {
      identity: (it) => group.identity(it),
      append: (it) => group.append([bytes('a')], it),
      tail: (it) => group.tail(it),
      addMember: (it) => group.addMember(member, it),
      addLearner: (it) => group.addLearner(member, it),
      removeMember: (it) => group.removeMember(2, it),
    };
    for (const call of Object.values(calls)) {
      for (const timeoutMs of NO_NUMBER)
        expect(await outcomeOf(() => call({ timeoutMs }))).toMatchObject(refusal('timeoutMs is'));
      for (const signal of NO_SIGNAL)
        expect(await outcomeOf(() => call({ signal }))).toMatchObject(refusal('signal is'));
    }
    for (const value of NO_NUMBER as number[])
      expect(await outcomeOf(() => group.follow(value))).toMatchObject(refusal('from is'));
    for (const value of NO_COUNT as number[]) {
      const named = refusal('the id of the member is');
      const address = '127.0.0.1:1';
      expect(await outcomeOf(() => group.addMember({ id: value, address }))).toMatchObject(named);
      expect(await outcomeOf(() => group.removeMember(value))).toMatchObject(named);
      expect(await outcomeOf(() => group.transferLeadership(value))).toMatchObject(
        refusal('to is'),
      );
      const replaced = outcomeOf(() => group.addMember(member, { replaces: value }));
      expect(await replaced).toMatchObject(refusal('replaces is'));
    }
    expect(group.status.members.map(({ id }) => id)).toEqual([1]);
  } finally {
    await fixture.end();
  }
});
