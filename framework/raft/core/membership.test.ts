import {
  type Configuration,
  decodeConfiguration,
  isConfigurationEntry,
  type Raft,
} from './index.ts';
import {
  acknowledge,
  changeTo,
  configurationOf,
  drain,
  ELECTION,
  elect,
  HEARTBEAT,
  isolated,
  member,
  Net,
  settled,
  tick,
  to,
  votersUpTo,
} from './scenario.fixture.ts';

/** Members with the same idea of the group, of which the first one leads; strangers have none. */
function led(part: Partial<Configuration>, strangers: readonly number[] = []): Net {
  const configuration = configurationOf(part);
  const { voters, learners } = configuration;
  const net = new Net([
    ...[...voters, ...learners].map((id) => ({ id, configuration })),
    ...strangers.map((id) => ({ id, configuration: configurationOf({}) })),
  ]);
  net.campaign(1);
  return net;
}

const rolesOf = ({ configuration: { voters, outgoing, learners } }: Raft): unknown => ({
  voters,
  outgoing,
  learners,
});

const stable = (voters: number[], learners: number[] = []): unknown => ({
  voters,
  outgoing: [],
  learners,
});

/** The configurations in the log that a member wrote, oldest first. */
const written = (net: Net, id: number): [number, Configuration][] =>
  net.disk
    .get(id)!
    .batches.filter(isConfigurationEntry)
    .map((it) => [it.index, decodeConfiguration(it.payload)]);

describe('a learner', () => {
  test('LearnerLogReplication: receives and commits everything, tracked by the leader, and does not count', () => {
    const net = led({ voters: [1, 2], learners: [3] });
    net.propose(1, 3);
    expect(net.at(3).log).toMatchObject({ last: 4, commit: 4 });
    expect(net.at(1).leadership!.progress.get(3)).toMatchObject({ match: 4, mode: 'replicate' });
    net.lost = isolated(2);
    net.propose(1);
    expect(net.at(3).log).toMatchObject({ last: 5, commit: 4 });
    net.lost = isolated(3);
    net.tick(net.at(1), HEARTBEAT);
    net.propose(1);
    expect(net.at(1).log).toMatchObject({ last: 6, commit: 6 });
  });

  test('LearnerCanVote: its vote does not count, although it is given', () => {
    const configuration = configurationOf({ voters: [1, 2, 3], learners: [4, 5] });
    const raft = member({ configuration });
    raft.step({ type: 'timeoutNow', from: 2, to: 1, term: 0 });
    expect(drain(raft).map((it) => it.to)).toEqual([2, 3]);
    const answer = { type: 'voteResponse', to: 1, term: 1, pre: false, granted: true } as const;
    for (const from of [4, 5]) raft.step({ ...answer, from });
    expect(raft.role).toBe('candidate');
    raft.step({ ...answer, from: 3 });
    expect(raft.role).toBe('leader');
  });

  test('LearnerPromotion: once it is a voter it can be elected', () => {
    const net = led({ voters: [1], learners: [2] });
    net.tick(net.at(2), 5 * ELECTION);
    expect(net.at(2)).toMatchObject({ role: 'follower', term: 1 });
    net.at(1).changeMembers(changeTo([1, 2]));
    net.settle();
    expect(net.rafts.map(rolesOf)).toEqual([stable([1, 2]), stable([1, 2])]);
    net.at(1).transferLeadership(2);
    net.settle();
    expect(net.leaders).toEqual([2]);
    net.propose(2);
    expect(net.at(1).log).toMatchObject({ last: net.at(2).log.last, commit: net.at(2).log.last });
  });
});

describe('a change', () => {
  test('StepConfig: is an entry that is in force as soon as it is in the log, and ended by another one', () => {
    const raft = settled(member());
    expect(raft.changeMembers(changeTo([1, 2, 4]))).toBe(2);
    const joint = { voters: [1, 2, 4], outgoing: [1, 2, 3], learners: [] };
    expect(rolesOf(raft)).toEqual(joint);
    expect(raft.log).toMatchObject({ last: 2, commit: 1, configurationIndex: 2 });
    const toTwo = drain(raft).filter(to(2, 'append'));
    expect(toTwo).toMatchObject([{ prevIndex: 1, batches: [{ index: 2, term: 1, count: 1 }] }]);
    acknowledge(raft, 2, 2);
    expect(raft.log).toMatchObject({ last: 3, commit: 2, configurationIndex: 3 });
    expect(rolesOf(raft)).toEqual(stable([1, 2, 4]));
  });

  test('StepIgnoreConfig: a second one is refused while one is under way, and leaves no trace', () => {
    const raft = settled(member());
    raft.changeMembers(changeTo([1, 2, 4]));
    drain(raft);
    const refused = (last: number): void => {
      expect(raft.changeMembers(changeTo([1, 2, 3, 5]))).toBe('changing');
      expect(raft.changeMembers(changeTo([1, 2, 4], [5]))).toBe('changing');
      expect([raft.log.last, raft.log.configurationIndex]).toEqual([last, last]);
    };
    refused(2);
    acknowledge(raft, 2, 2);
    drain(raft);
    refused(3);
    acknowledge(raft, 2, 3);
    expect(raft.changeMembers(changeTo([1, 2, 4], [5]))).toBe(4);
    refused(4);
    expect(member().changeMembers(changeTo([1]))).toBe('notLeader');
  });

  test('NewLeaderPendingConfig: a new leader begins none before it has committed an entry of its own term', () => {
    const configurations = [{ index: 1, configuration: votersUpTo(3) }];
    const clean = member({ terms: [1, 1], shape: { configurations } });
    clean.step({ type: 'heartbeat', from: 2, to: 1, term: 1, commit: 2, round: 0 });
    drain(elect(clean));
    expect([clean.log.commit, clean.log.last]).toEqual([2, 3]);
    expect(clean.changeMembers(changeTo([1, 2]))).toBe('changing');
    acknowledge(clean, 2, 2);
    expect(clean.changeMembers(changeTo([1, 2]))).toBe('changing');
    acknowledge(clean, 2, 3);
    expect(clean.changeMembers(changeTo([1, 2]))).toBe(4);
  });

  test('NewLeaderPendingConfig: one that a predecessor left under way is ended first', () => {
    const net = led({ voters: [1, 2, 3] }, [4]);
    net.lost = ({ from, to }) => from === 4 || to === 4 || to === 3 || (from === 2 && to === 1);
    net.at(1).changeMembers(changeTo([1, 2, 4]));
    net.settle();
    expect([net.at(1).log.commit, net.at(2).log.configurationIndex]).toEqual([1, 2]);
    net.lost = isolated(1, 4);
    tick(net.at(3), ELECTION);
    net.campaign(2);
    // It reaches no other voter of the next configuration, so it cannot be elected, however the old ones vote.
    expect(net.at(2).role).toBe('candidate');
    net.lost = isolated(1);
    net.campaign(2);
    net.tick(net.at(2), 3 * ELECTION);
    expect(net.at(2).role).toBe('leader');
    expect(rolesOf(net.at(2))).toEqual(stable([1, 2, 4]));
    expect(net.at(2).changeMembers(changeTo([2, 4]))).toBeGreaterThan(net.at(2).log.commit);
  });

  test.each([
    ['AddNode', { voters: [1, 2] }, [1, 2, 3], [], 3],
    ['AddNode', { voters: [1] }, [1, 2, 3, 4, 5], [], 3],
    ['AddLearner', { voters: [1, 2] }, [1, 2], [3], 2],
    ['AddLearner, promoted', { voters: [1, 2], learners: [3] }, [1, 2, 3], [], 3],
    ['RemoveLearner', { voters: [1, 2], learners: [3] }, [1, 2], [], 2],
    ['RemoveNode', { voters: [1, 2, 3] }, [1, 2], [], 3],
    ['RemoveNode', { voters: [1, 2, 3, 4, 5] }, [1], [], 3],
    ['a voter becomes a learner', { voters: [1, 2, 3] }, [1, 2], [3], 3],
    ['all at once', { voters: [1, 2, 3], learners: [4] }, [1, 4, 5], [2, 6], 3],
    ['AddDuplicateNode', { voters: [1, 2] }, [1, 2], [], 2],
  ] as [string, Partial<Configuration>, number[], number[], number][])(
    'confchange: %s: from %j to the voters %j and learners %j, which members are told in so many entries: %d',
    (_, from, voters, learners, last) => {
      const before = [...(from.voters ?? []), ...(from.learners ?? [])];
      const after = [...voters, ...learners];
      const net = led(
        from,
        after.filter((it) => !before.includes(it)),
      );
      expect(net.at(1).changeMembers(changeTo(voters, learners))).toBe(2);
      net.settle();
      net.tick(net.at(1), 2 * HEARTBEAT);
      for (const id of after) {
        expect(rolesOf(net.at(id))).toEqual(stable(voters, learners));
        expect(net.at(id).log).toMatchObject({ last, commit: last });
      }
      expect([...net.at(1).leadership!.progress.keys()].sort()).toEqual([...after].sort());
      for (const id of after) expect(net.at(id).promotable).toBe(voters.includes(id));
      // The next one can follow.
      expect(net.at(1).changeMembers(changeTo(voters, [9]))).toBe(last + 1);
    },
  );

  test('confchange joint_idempotency, AddDuplicateNode: the same change again blocks nothing', () => {
    const net = led({ voters: [1] }, [2]);
    for (let i = 0; i < 3; i++) {
      expect(typeof net.at(1).changeMembers(changeTo([1, 2]))).toBe('number');
      net.settle();
      net.tick(net.at(1), HEARTBEAT);
      expect(net.rafts.map(rolesOf)).toEqual([stable([1, 2]), stable([1, 2])]);
    }
    net.propose(1);
    expect(net.at(2).log.commit).toBe(net.at(1).log.last);
  });

  test('one that was not committed and is overwritten is in force no longer', () => {
    const net = led({ voters: [1, 2, 3] }, [4]);
    net.lost = isolated(1);
    net.at(1).changeMembers(changeTo([1, 4]));
    net.settle();
    expect(rolesOf(net.at(1))).toMatchObject({ voters: [1, 4] });
    tick(net.at(3), ELECTION);
    net.campaign(2);
    net.propose(2);
    net.heal();
    net.tick(net.at(2), 2 * HEARTBEAT);
    expect(net.leaders).toEqual([2]);
    expect(rolesOf(net.at(1))).toEqual(stable([1, 2, 3]));
    expect(rolesOf(net.restart(1))).toEqual(stable([1, 2, 3]));
  });

  test('JointAutoLeave: a leader that loses and regains leadership in between ends it, once', () => {
    const net = led({ voters: [1, 2, 3] });
    net.lost = isolated(1);
    net.at(1).changeMembers(changeTo([1, 2]));
    net.settle();
    net.tick(net.at(1), 2 * ELECTION);
    expect([net.leaders, net.at(1).term]).toEqual([[], 1]);
    net.heal();
    tick(net.at(2), ELECTION);
    tick(net.at(3), ELECTION);
    net.tick(net.at(1), 2 * ELECTION);
    expect(net.at(1)).toMatchObject({ role: 'leader', term: 2 });
    // The first one is what the group began with; then the change, the entry of the new term, and the end.
    expect(written(net, 1).map(([index, it]) => [index, it.outgoing])).toEqual([
      [1, []],
      [2, [1, 2, 3]],
      [4, []],
    ]);
    expect(net.at(2).log).toMatchObject({ last: 4, commit: 4 });
  });

  test('JointAutoLeave: … and so does another one, whose end replaces that of the former leader', () => {
    const net = led({ voters: [1, 2, 3] });
    net.at(1).changeMembers(changeTo([2, 3]));
    net.lost = (it) => it.from === 1 && it.type === 'append' && it.prevIndex >= 2;
    net.settle();
    expect([net.at(1).log.last, net.at(2).log.last, net.at(1).log.commit]).toEqual([3, 2, 2]);
    net.lost = isolated(1);
    tick(net.at(3), ELECTION);
    net.campaign(2);
    net.tick(net.at(2), HEARTBEAT);
    net.heal();
    expect(net.leaders).toContain(2);
    expect(written(net, 2).map(([index, it]) => [index, it.outgoing])).toEqual([
      [1, []],
      [2, [1, 2, 3]],
      [4, []],
    ]);
    expect(net.at(3).log).toMatchObject({ last: 4, commit: 4 });
  });

  test('confchange Restore: members that are started again in the middle of a change go on with it', () => {
    const net = led({ voters: [1, 2, 3] }, [4]);
    net.lost = (it) => it.type === 'append' && it.prevIndex >= 2;
    net.at(1).changeMembers(changeTo([1, 2, 4]));
    net.settle();
    net.lost = isolated(1, 4);
    for (const id of [2, 3]) {
      const joint = { voters: [1, 2, 4], outgoing: [1, 2, 3], learners: [] };
      expect(rolesOf(net.restart(id))).toEqual(joint);
    }
    net.campaign(2);
    expect(net.at(2).role).toBe('candidate');
    net.lost = isolated(1);
    net.tick(net.at(2), 4 * ELECTION);
    expect(net.at(2).role).toBe('leader');
    expect([2, 3, 4].map((id) => rolesOf(net.at(id)))).toEqual(Array(3).fill(stable([1, 2, 4])));
  });
});

describe('members that come', () => {
  test.each([
    ['add_single', [1, 2], false],
    ['add_single', [1, 2], true],
    ['add_double', [1, 2, 3], false],
    ['add_double', [1, 2, 3], true],
  ])('confchange %s: to %j, where the first entries are gone: %p', (_, voters, gone) => {
    const newcomers = voters.slice(1);
    const net = led({ voters: [1] }, newcomers);
    net.propose(1, 5);
    if (gone) net.compact(1);
    net.at(1).changeMembers(changeTo(voters));
    net.settle();
    expect(net.at(1).log.last).toBeLessThan(9);
    net.tick(net.at(1), 2 * HEARTBEAT);
    for (const id of newcomers) {
      expect(net.at(id).log).toMatchObject({ baseIndex: gone ? 6 : 0, last: 8, commit: 8 });
      expect(rolesOf(net.restart(id))).toEqual(stable(voters));
    }
    expect(written(net, 1).slice(gone ? 0 : 1)).toMatchObject([
      [7, { voters, outgoing: [1] }],
      [8, { voters, outgoing: [] }],
    ]);
  });

  test('confchange add_double: nothing is committed before one of them has it, and no proposal is lost', () => {
    const net = led({ voters: [1] }, [2, 3]);
    net.lost = isolated(2, 3);
    net.at(1).changeMembers(changeTo([1, 2, 3]));
    net.propose(1, 2);
    expect(net.at(1).log).toMatchObject({ last: 4, commit: 1 });
    net.lost = isolated(3);
    net.tick(net.at(1), 2 * HEARTBEAT);
    expect(net.at(1).log).toMatchObject({ last: 5, commit: 5 });
    expect(net.at(2).log).toMatchObject({ last: 5, commit: 5 });
  });
});

describe('members that go', () => {
  test('confchange remove_leader_stepdown: one that is to learn from now on steps down too, and goes on receiving', () => {
    const net = led({ voters: [1, 2, 3] });
    net.at(1).changeMembers(changeTo([2, 3], [1]));
    net.settle();
    expect(net.rafts.map(rolesOf)).toEqual(Array(3).fill(stable([2, 3], [1])));
    const [leader] = net.leaders as [number];
    expect([2, 3]).toContain(leader);
    net.propose(leader);
    expect(net.at(1).log).toMatchObject({ commit: net.at(leader).log.last });
  });

  test('confchange replace_leader, replace_leader_stepdown: a new member takes the place of the leader, and the old one does not campaign', () => {
    const net = led({ voters: [1, 2, 3] }, [4]);
    net.propose(1, 3);
    net.at(1).changeMembers(changeTo([2, 3, 4]));
    net.settle();
    net.tickAll(2 * HEARTBEAT);
    const [leader] = net.leaders as [number];
    expect([2, 3, 4]).toContain(leader);
    const { term, log } = net.at(leader);
    expect(term).toBe(2);
    for (const id of [2, 3, 4]) {
      expect(rolesOf(net.at(id))).toEqual(stable([2, 3, 4]));
      expect(net.at(id).log).toMatchObject({ last: log.last, commit: log.last });
    }
    net.tick(net.at(1), 10 * ELECTION);
    expect(net.at(1)).toMatchObject({ role: 'follower', promotable: false });
    expect([net.leaders, net.at(leader).term]).toEqual([[leader], 2]);
  });

  test('RemoveNode: who is removed is sent the end of the change, and then nothing', () => {
    const net = led({ voters: [1, 2, 3] });
    net.at(1).changeMembers(changeTo([1, 2]));
    net.settle();
    expect(net.at(3).log).toMatchObject({ last: 3, commit: 3 });
    expect(net.at(3).promotable).toBe(false);
    expect([...net.at(1).leadership!.progress.keys()]).toEqual([1, 2]);
    net.propose(1);
    net.tick(net.at(1), 2 * ELECTION);
    expect(net.at(3).log.last).toBe(3);
  });

  test('RemoveNode: who was away when it was removed disturbs nobody when it is back', () => {
    const net = led({ voters: [1, 2, 3] });
    net.lost = isolated(3);
    net.at(1).changeMembers(changeTo([1, 2]));
    net.settle();
    net.tickAll(3 * ELECTION);
    net.heal();
    net.tickAll(3 * ELECTION);
    expect(net.at(3)).toMatchObject({ role: 'preCandidate', term: 1 });
    expect([net.leaders, net.at(1).term]).toEqual([[1], 1]);
  });

  test('RemoveNode: who comes back in time is a member again, with what it still has', () => {
    const net = led({ voters: [1, 2, 3] });
    net.lost = isolated(3);
    net.at(1).changeMembers(changeTo([1, 2]));
    net.settle();
    net.at(1).changeMembers(changeTo([1, 2, 3]));
    net.settle();
    net.heal();
    net.tick(net.at(1), 2 * ELECTION);
    expect(net.leaders).toEqual([1]);
    expect(net.rafts.map(rolesOf)).toEqual(Array(3).fill(stable([1, 2, 3])));
    expect(net.at(1).leadership!.progress.get(3)).toMatchObject({ match: 5, departing: undefined });
  });
});

// Not here:
// - LearnerElectionTimeout and LearnerCampaign are rows of Promotable, in elections.test.ts; that a learner answers
//   who asks for its vote is in votes.test.ts, and AddNodeCheckQuorum in check-quorum.test.ts.
// - What needs nothing but the leader, or nothing but a configuration, is in quorum.test.ts.
