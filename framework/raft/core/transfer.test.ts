import type { Raft } from './index.ts';
import {
  acknowledge,
  answerHeartbeat,
  changeTo,
  configurationOf,
  drain,
  ELECTION,
  elect,
  HEARTBEAT,
  isolated,
  member,
  Net,
  PAYLOAD,
  settled,
  tick,
  to,
  vote,
} from './scenario.fixture.ts';

/** Three members that agree under leader 1. */
function led(): Net {
  const net = Net.of(3);
  net.campaign(1);
  net.tickAll(2);
  return net;
}

/** Ticks a leader while all others keep in touch, without telling more than that. */
function tickInTouch(raft: Raft, times: number): void {
  for (let i = 0; i < times; i++) {
    for (const [id] of raft.leadership!.progress) if (id !== raft.id) answerHeartbeat(raft, id);
    raft.tick();
    drain(raft);
  }
}

const timeoutNows = (raft: Raft): number[] =>
  drain(raft)
    .filter((it) => it.type === 'timeoutNow')
    .map((it) => it.to);

describe('leadership transfer', () => {
  test('goes to a member that is up to date, refuses proposals meanwhile, and is given up after a timeout', () => {
    const raft = elect(member());
    drain(raft);
    expect(raft.transferLeadership(2)).toBe(true);
    expect(raft.propose(PAYLOAD, 1)).toBe('transferring');
    expect(drain(raft).filter((it) => it.type === 'timeoutNow')).toEqual([]);
    acknowledge(raft, 2, 1);
    expect(drain(raft).filter((it) => it.type === 'timeoutNow')).toMatchObject([{ to: 2 }]);
    for (let i = 0; i < ELECTION; i++) {
      acknowledge(raft, 2, 1);
      raft.tick();
    }
    expect(raft.propose(PAYLOAD, 1)).toBe(2);
  });

  test('to itself or to a stranger does nothing', () => {
    const raft = elect(member());
    expect([raft.transferLeadership(1), raft.transferLeadership(9)]).toEqual([false, false]);
    expect(raft.propose(PAYLOAD, 1)).toBe(2);
  });
});

describe('the target', () => {
  test('TransferToUpToDateNode: there and back again, one term each, and the entries are kept', () => {
    const net = led();
    net.propose(1, 3);
    for (const [from, next, term] of [
      [1, 2, 2],
      [2, 1, 3],
    ] as const) {
      expect(net.at(from).transferLeadership(next)).toBe(true);
      net.settle();
      expect(net.leaders).toEqual([next]);
      expect(net.rafts.map((it) => [it.term, it.leader])).toEqual([
        [term, next],
        [term, next],
        [term, next],
      ]);
    }
    net.propose(1);
    expect(net.rafts.map((it) => [it.log.last, it.log.commit])).toEqual([
      [7, 7],
      [7, 7],
      [7, 7],
    ]);
  });

  test('TransferToUpToDateNodeFromFollower: only the leader can; whoever else is asked says so and does nothing', () => {
    const net = led();
    for (const target of [1, 2, 3]) {
      expect(net.at(2).transferLeadership(target)).toBe(false);
      expect(drain(net.at(2))).toEqual([]);
    }
    net.settle();
    expect([net.leaders, net.at(1).term]).toEqual([[1], 1]);
  });

  test.each([undefined, 50])(
    'TransferWithCheckQuorum: the votes of those who hear the leader go to whom it wants, with leases of %p ms too',
    (leaseMs) => {
      const net = Net.of(3, { options: { leaseMs } });
      net.campaign(1);
      // The leader is heard until the last moment.
      net.tickAll(3 * ELECTION);
      net.lost = (it) => it.type === 'vote' && it.pre;
      net.at(1).transferLeadership(3);
      net.settle();
      expect([net.leaders, net.at(3).term, net.at(2).leader]).toEqual([[3], 2, 3]);
    },
  );

  test('TransferToSlowFollower: is brought up to date first', () => {
    const net = led();
    net.lost = isolated(3);
    net.propose(1, 5);
    expect(net.at(3).log.last).toBe(1);
    net.heal();
    net.at(1).transferLeadership(3);
    net.tick(net.at(1), 2 * HEARTBEAT);
    expect(net.leaders).toEqual([3]);
    expect(net.at(3).log.last).toBe(7);
  });

  test('TransferToSlowFollower: is not told to campaign before it has acknowledged the last entry', () => {
    const raft = settled(member());
    for (let i = 0; i < 3; i++) raft.propose(PAYLOAD, 1);
    raft.transferLeadership(2);
    drain(raft);
    for (const index of [2, 3]) {
      acknowledge(raft, 2, index);
      acknowledge(raft, 3, 4);
      expect(timeoutNows(raft)).toEqual([]);
    }
    acknowledge(raft, 2, 4);
    expect(timeoutNows(raft)).toEqual([2]);
  });

  test('TransferAfterSnapshot: has the snapshot on its disk before it is told to campaign', () => {
    const net = led();
    net.lost = isolated(3);
    net.propose(1, 3);
    net.compact(1);
    net.lost = (it) => it.from === 3 && it.type === 'appendResponse' && !it.rejected;
    net.at(1).transferLeadership(3);
    net.tick(net.at(1), 2 * HEARTBEAT);
    expect(net.at(3).log.snapshotIndex).toBe(4);
    expect([net.leaders, net.at(3).term]).toEqual([[1], 1]);
    net.heal();
    net.tick(net.at(1), 2 * HEARTBEAT);
    expect([net.leaders, net.at(3).term]).toEqual([[3], 2]);
  });

  test('TransferToSelf, TransferToNonExistingNode, TransferToLearner: has to be another voter', () => {
    const configuration = configurationOf({ voters: [1, 2], learners: [3] });
    const raft = settled(member({ configuration }));
    for (const target of [0, 1, 3, 9]) {
      expect(raft.transferLeadership(target)).toBe(false);
      expect(drain(raft)).toEqual([]);
    }
    expect(raft.propose(PAYLOAD, 1)).toBe(2);
  });

  test('TransferNonMember: who does not belong to the group does not become leader, whoever votes for it', () => {
    const raft = member({ configuration: configurationOf({ voters: [2, 3, 4] }) });
    raft.step({ type: 'timeoutNow', from: 2, to: 1, term: 1 });
    for (const from of [2, 3]) vote(raft, from);
    expect(drain(raft)).toEqual([]);
    expect(raft).toMatchObject({ role: 'follower', term: 1, vote: 0 });
  });

  test('that is told twice campaigns once', () => {
    const raft = member({ id: 2, terms: [1] });
    const timeoutNow = { type: 'timeoutNow', from: 1, to: 2, term: 1 } as const;
    raft.step(timeoutNow);
    raft.step(timeoutNow);
    expect(drain(raft).map((it) => [it.type, it.term])).toEqual([
      ['vote', 2],
      ['vote', 2],
    ]);
    vote(raft, 3);
    raft.step(timeoutNow);
    expect(raft).toMatchObject({ role: 'leader', term: 2 });
  });
});

describe('the end of a transfer', () => {
  test('TransferTimeout: it is given up after an election timeout, and the leader serves again', () => {
    const raft = settled(member());
    raft.transferLeadership(2);
    expect(timeoutNows(raft)).toEqual([2]);
    tickInTouch(raft, ELECTION - 1);
    expect(raft.propose(PAYLOAD, 1)).toBe('transferring');
    tickInTouch(raft, 1);
    expect(raft.role).toBe('leader');
    expect(raft.propose(PAYLOAD, 1)).toBe(2);
    // Nobody is told to campaign any more.
    drain(raft);
    acknowledge(raft, 2, 2);
    expect(timeoutNows(raft)).toEqual([]);
  });

  test('TransferBack: the leader that is asked to stay serves again, and tells nobody to campaign', () => {
    const raft = settled(member());
    raft.propose(PAYLOAD, 1);
    drain(raft);
    raft.transferLeadership(2);
    expect(raft.propose(PAYLOAD, 1)).toBe('transferring');
    expect(raft.transferLeadership(1)).toBe(false);
    expect(raft.propose(PAYLOAD, 1)).toBe(3);
    drain(raft);
    acknowledge(raft, 2, 3);
    expect(timeoutNows(raft)).toEqual([]);
  });

  test('TransferTimeout: … and another one can be wanted afterwards', () => {
    const net = led();
    net.lost = isolated(2);
    net.at(1).transferLeadership(2);
    net.tick(net.at(1), ELECTION);
    expect(net.leaders).toEqual([1]);
    net.at(1).transferLeadership(3);
    net.settle();
    expect([net.at(3).role, net.at(3).term]).toEqual(['leader', 2]);
  });

  test('TransferIgnoreProposal: proposals and changes of the members are refused meanwhile, and leave no trace', () => {
    const raft = settled(member());
    raft.transferLeadership(2);
    drain(raft);
    expect(raft.propose(PAYLOAD, 1)).toBe('transferring');
    expect(raft.changeMembers(changeTo([1, 2]))).toBe('transferring');
    expect([drain(raft), raft.log.last]).toEqual([[], 1]);
    tickInTouch(raft, ELECTION);
    expect(raft.changeMembers(changeTo([1, 2]))).toBe(2);
  });

  test('TransferReceiveHigherTermVote: another election ends it, and the next time this member leads it takes proposals', () => {
    const raft = settled(member());
    raft.transferLeadership(2);
    drain(raft);
    const ask = { type: 'vote', from: 3, to: 1, term: 2, pre: false, transfer: true } as const;
    raft.step({ ...ask, lastIndex: 1, lastTerm: 1 });
    expect(drain(raft)).toMatchObject([{ type: 'voteResponse', to: 3, term: 2, granted: true }]);
    expect(raft).toMatchObject({ role: 'follower', term: 2, leadership: undefined });
    expect(raft.propose(PAYLOAD, 1)).toBe('notLeader');
    settled(raft);
    expect(raft.term).toBe(3);
    expect(raft.propose(PAYLOAD, 1)).toBe(3);
  });

  test('TransferRemoveNode, TransferDemoteNode: who is on its way out of the voters cannot be wanted, and the leader goes on serving', () => {
    for (const change of [changeTo([1, 2]), changeTo([1, 2], [3])]) {
      const raft = settled(member());
      expect(raft.changeMembers(change)).toBe(2);
      // In force from its entry on, although a majority of those before is needed until it is left.
      expect(raft.configuration.outgoing).toContain(3);
      expect(raft.transferLeadership(3)).toBe(false);
      drain(raft);
      expect(raft.propose(PAYLOAD, 1)).toBe(3);
      for (const id of [2, 3]) acknowledge(raft, id, 3);
      drain(raft);
      for (const id of [2, 3]) acknowledge(raft, id, 4);
      expect(raft.configuration.outgoing).toEqual([]);
      expect(raft.transferLeadership(3)).toBe(false);
      expect(raft.transferLeadership(2)).toBe(true);
    }
  });

  test('TransferRemoveNode: a change that was begun before is ended meanwhile, and the target gets its last entry too', () => {
    const raft = settled(member());
    raft.changeMembers(changeTo([1, 2]));
    drain(raft);
    expect(raft.transferLeadership(2)).toBe(true);
    acknowledge(raft, 3, 2);
    acknowledge(raft, 2, 2);
    // The second entry is committed, which brings the one that ends the change.
    expect(raft.log).toMatchObject({ commit: 2, last: 3 });
    expect(drain(raft).filter(to(2, 'timeoutNow'))).toEqual([]);
    acknowledge(raft, 2, 3);
    expect(timeoutNows(raft)).toEqual([2]);
  });

  test('SecondTransferToAnotherNode: the later wish counts', () => {
    const net = led();
    net.lost = isolated(3);
    net.at(1).transferLeadership(3);
    net.settle();
    expect(net.leaders).toEqual([1]);
    net.at(1).transferLeadership(2);
    net.settle();
    expect([net.leaders, net.at(2).term]).toEqual([[2], 2]);
  });

  test('SecondTransferToAnotherNode: it has a whole election timeout, and the first target is not told any more', () => {
    const raft = settled(member());
    raft.propose(PAYLOAD, 1);
    drain(raft);
    raft.transferLeadership(2);
    tickInTouch(raft, ELECTION - 1);
    raft.transferLeadership(3);
    tickInTouch(raft, ELECTION - 1);
    acknowledge(raft, 2, 2);
    expect(timeoutNows(raft)).toEqual([]);
    acknowledge(raft, 3, 2);
    expect(timeoutNows(raft)).toEqual([3]);
  });

  test('SecondTransferToSameNode: wanting it again does not take longer', () => {
    const raft = settled(member());
    raft.transferLeadership(2);
    tickInTouch(raft, ELECTION - 1);
    expect(raft.transferLeadership(2)).toBe(true);
    expect(raft.propose(PAYLOAD, 1)).toBe('transferring');
    tickInTouch(raft, 1);
    expect(raft.propose(PAYLOAD, 1)).toBe(2);
  });

  test('a leader that does not hear a majority resigns, whomever it waits for', () => {
    const raft = settled(member());
    raft.propose(PAYLOAD, 1);
    raft.transferLeadership(2);
    tick(raft, 2 * ELECTION);
    expect(raft).toMatchObject({ role: 'follower', term: 1, leader: 0 });
  });
});
