import type { Raft } from './index.ts';
import {
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
  settled,
  tick,
  timeOut,
} from './scenario.fixture.ts';

/** Ticks a leader whom only some members answer, at every tick. */
function tickAnsweredBy(raft: Raft, ids: readonly number[], times: number): void {
  for (let i = 0; i < times; i++) {
    raft.tick();
    if (raft.role !== 'leader') return;
    for (const id of ids) answerHeartbeat(raft, id);
    drain(raft);
  }
}

const ask = { type: 'vote', from: 3, to: 2, pre: false, transfer: false } as const;

describe('a leader', () => {
  test.each([
    [{ voters: [1, 2, 3] }, [2], true],
    [{ voters: [1, 2, 3] }, [], false],
    [{ voters: [1, 2, 3, 4, 5] }, [2, 3], true],
    [{ voters: [1, 2, 3, 4, 5] }, [2], false],
    [{ voters: [1, 2, 3, 4] }, [2], false],
    [{ voters: [1] }, [], true],
    [{ voters: [1, 2, 3], learners: [4, 5] }, [4, 5], false],
    [{ voters: [1, 2, 3], outgoing: [1, 4, 5] }, [2, 4], true],
    [{ voters: [1, 2, 3], outgoing: [1, 4, 5] }, [2, 3], false],
    [{ voters: [1, 2, 3], outgoing: [1, 4, 5] }, [4, 5], false],
  ])(
    'LeaderStepdownWhenQuorumActive, LeaderStepdownWhenQuorumLost: of %j, whom %j answer, leads on: %p',
    (part, answering, stays) => {
      const raft = elect(member({ configuration: configurationOf(part) }));
      drain(raft);
      tickAnsweredBy(raft, answering, 5 * ELECTION);
      expect(raft).toMatchObject({ role: stays ? 'leader' : 'follower', term: 1 });
    },
  );

  test('LeaderStepdownWhenQuorumLost: an answer is good for the check that follows it, and for no other', () => {
    const raft = elect(member());
    drain(raft);
    answerHeartbeat(raft, 2);
    tick(raft, ELECTION);
    expect(raft.role).toBe('leader');
    tick(raft, ELECTION - 1);
    expect(raft.role).toBe('leader');
    raft.tick();
    expect([raft.role, raft.leader]).toEqual(['follower', 0]);
  });

  test('LeaderStepdownWhenQuorumLost: one that nobody answers after its election resigns an election timeout later', () => {
    const raft = elect(member());
    drain(raft);
    tick(raft, ELECTION - 1);
    expect(raft.role).toBe('leader');
    raft.tick();
    expect([raft.role, raft.leader]).toEqual(['follower', 0]);
  });

  test('that no majority answers resigns; one that is heard stays', () => {
    const net = Net.of(3);
    const [one] = net.rafts as [Raft];
    net.tick(one, ELECTION);
    net.tick(one, 10 * ELECTION);
    expect(one.role).toBe('leader');
    net.lost = isolated(1);
    net.tick(one, 2 * ELECTION);
    expect(one.role).not.toBe('leader');
  });

  test('a refused append is a sign of life too', () => {
    const raft = elect(member());
    drain(raft);
    for (let i = 0; i < 3 * ELECTION; i++) {
      raft.tick();
      const refusal = { type: 'appendResponse', to: 1, term: raft.term, rejected: true } as const;
      raft.step({ ...refusal, from: 2, index: 0, hintIndex: 0, hintTerm: 0 });
    }
    expect(raft.role).toBe('leader');
  });

  test('AddNodeCheckQuorum: a member that was just added and is silent does not depose the leader at once, but after a full timeout', () => {
    const raft = settled(member({ members: 1 }));
    drain(raft);
    tick(raft, ELECTION - 1);
    raft.changeMembers(changeTo([1, 2]));
    drain(raft);
    raft.tick();
    expect(raft.role).toBe('leader');
    tick(raft, ELECTION - 1);
    expect(raft.role).toBe('leader');
    raft.tick();
    expect(raft.role).toBe('follower');
  });

  test('LeaderElectionWithCheckQuorum: is not disturbed by one that did not hear of its election', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.lost = isolated(3);
    net.tickAll(4 * ELECTION);
    net.heal();
    net.tickAll(ELECTION);
    expect([net.leaders, net.at(3).leader, net.at(3).term]).toEqual([[1], 1, 1]);
  });
});

describe('a voter', () => {
  test('LeaderSupersedingWithCheckQuorum: who hears a leader grants no vote, until it does not hear it any more', () => {
    const net = Net.of(3);
    const [one, two] = net.rafts as [Raft, Raft];
    net.tick(one, ELECTION);
    const request = { ...ask, term: one.term + 1, lastIndex: 9, lastTerm: 9 };
    two.step(request);
    expect([drain(two), two.term]).toEqual([[], one.term]);
    tick(two, ELECTION - 1);
    two.step({ ...request, pre: true });
    two.step(request);
    expect([drain(two), two.term]).toEqual([[], one.term]);
    two.tick();
    two.step(request);
    expect(drain(two)).toMatchObject([{ type: 'voteResponse', granted: true }]);
  });

  test('LeaderElectionWithCheckQuorum: who has heard no leader yet votes at once', () => {
    const raft = member({ id: 2 });
    raft.step({ ...ask, term: 1, lastIndex: 0, lastTerm: 0 });
    expect(drain(raft)).toMatchObject([{ type: 'voteResponse', granted: true }]);
  });

  test('LeaderElectionWithCheckQuorum: … with leases only after an election timeout: it may have answered a leader before it was restarted', () => {
    for (const pre of [false, true]) {
      const raft = member({ id: 2, options: { leaseMs: 50 } });
      const request = { ...ask, pre, term: 1, lastIndex: 0, lastTerm: 0 };
      tick(raft, ELECTION - 1);
      raft.step(request);
      expect([drain(raft), raft.term]).toEqual([[], 0]);
      raft.tick();
      raft.step(request);
      expect(drain(raft)).toMatchObject([{ type: 'voteResponse', granted: true }]);
    }
  });

  test.each(['append', 'heartbeat', 'commit', 'snapshot'] as const)(
    'DisruptiveFollowerPreVote: by %s it hears the leader',
    (type) => {
      const raft = member({ id: 2, terms: [1], hardState: { term: 1, vote: 0 } });
      const more = {
        append: { prevIndex: 1, prevTerm: 1, batches: [], commit: 0 },
        heartbeat: { commit: 0, round: 0 },
        commit: { commit: 0 },
        snapshot: { index: 0, indexTerm: 0, configuration: raft.configuration },
      }[type];
      for (let i = 0; i < 3; i++) {
        tick(raft, ELECTION - 1);
        raft.step({ type, from: 1, to: 2, term: 1, ...more } as Parameters<Raft['step']>[0]);
        drain(raft);
      }
      tick(raft, ELECTION - 1);
      raft.step({ ...ask, pre: true, term: 2, lastIndex: 9, lastTerm: 9 });
      expect([drain(raft), raft.leader]).toEqual([[], 1]);
    },
  );
});

describe('who is left behind', () => {
  test('DisruptiveFollowerPreVote: a follower whose heartbeats are late asks around, and the leader is unharmed', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.tickAll(2);
    timeOut(net.at(3));
    net.settle();
    expect(net.rafts.map((it) => [it.role, it.term])).toEqual([
      ['leader', 1],
      ['follower', 1],
      ['preCandidate', 1],
    ]);
    net.tick(net.at(1), HEARTBEAT);
    expect(net.at(3)).toMatchObject({ role: 'follower', leader: 1 });
  });

  test('PreVoteWithCheckQuorum, prevote_checkquorum: once the leader is gone and nobody has heard it for an election timeout, there is another one', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.tickAll(2);
    net.lost = isolated(1);
    const [, two, three] = net.rafts as [Raft, Raft, Raft];
    // Three alone is not enough: two has heard the leader a moment ago.
    net.tick(three, 4 * ELECTION);
    expect([three.role, three.term]).toEqual(['preCandidate', 1]);
    tick(two, ELECTION - two.electionElapsed);
    net.tick(three, 2 * ELECTION);
    expect([three.role, three.term, two.leader]).toEqual(['leader', 2, 3]);
  });

  test('prevote_checkquorum: a majority that does not hear the leader may replace it, one whose log is behind may not', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.tickAll(2);
    net.lost = isolated(3);
    net.propose(1);
    net.lost = isolated(1);
    const [, two, three] = net.rafts as [Raft, Raft, Raft];
    tick(two, ELECTION - two.electionElapsed);
    net.tick(three, 2 * ELECTION);
    expect([three.role, three.term]).toEqual(['preCandidate', 1]);
    net.tick(two, 3 * ELECTION);
    expect([two.role, three.log.last]).toEqual(['leader', two.log.last]);
  });

  test('FreeStuckCandidateWithCheckQuorum, PreVoteMigrationWithFreeStuckPreCandidate: a member with a term that is too high is freed, and can be elected', () => {
    for (const asks of [false, true]) {
      const net = Net.of(3);
      const [one, , three] = net.rafts as [Raft, Raft, Raft];
      net.tick(one, ELECTION);
      net.lost = isolated(3);
      three.step({ type: 'timeoutNow', from: 1, to: 3, term: three.term + 5 });
      net.settle();
      if (asks) net.tick(three, 2 * ELECTION);
      expect(three.role).toBe(asks ? 'preCandidate' : 'candidate');
      const high = three.term;
      net.heal();
      net.tick(one, HEARTBEAT);
      expect([one.role, one.term]).toEqual(['follower', high]);
      net.tick(three, 4 * ELECTION);
      expect([three.role, three.term]).toEqual(['leader', high + 1]);
    }
  });

  test('a member that asks with an old term learns the new one', () => {
    const raft = member({ id: 2, hardState: { term: 7, vote: 0 } });
    raft.step({ ...ask, pre: true, term: 3, lastIndex: 9, lastTerm: 2 });
    raft.step({ ...ask, pre: false, term: 3, lastIndex: 9, lastTerm: 2 });
    expect(drain(raft)).toMatchObject([
      { type: 'voteResponse', to: 3, pre: true, granted: false, term: 7 },
    ]);
    const behind = timeOut(member({ id: 3 }));
    drain(behind);
    const refusal = { type: 'voteResponse', from: 2, to: 3, pre: true, granted: false } as const;
    behind.step({ ...refusal, term: 7 });
    expect(behind).toMatchObject({ role: 'follower', term: 7 });
  });

  test('a pre-vote that is granted for another term than the own next one is not counted', () => {
    const raft = timeOut(member({ hardState: { term: 3, vote: 0 } }));
    drain(raft);
    const grant = { type: 'voteResponse', from: 2, to: 1, pre: true, granted: true } as const;
    raft.step({ ...grant, term: 5 });
    raft.step({ ...grant, term: 3 });
    expect([raft.role, raft.term]).toEqual(['preCandidate', 3]);
    raft.step({ ...grant, term: 4 });
    expect([raft.role, raft.term]).toEqual(['candidate', 4]);
  });
});

// Not here:
// - DisruptiveFollower: every timeout begins with a pre-vote; there is no way to campaign without one but to
//   be told to, which is FreeStuckCandidateWithCheckQuorum.
// - NonPromotableVoterWithCheckQuorum is a row of Promotable, in elections.test.ts.
