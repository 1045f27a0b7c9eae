import type { Message, Raft, Role } from './index.ts';
import {
  campaign,
  configurationOf,
  drain,
  ELECTION,
  elect,
  member,
  preVote,
  termsOf,
  tick,
  timeOut,
  vote,
  votersUpTo,
} from './scenario.fixture.ts';

const ROLES: readonly Role[] = ['follower', 'preCandidate', 'candidate', 'leader'];

/** A member of three, of term 3 or later, in the role given. */
function inRole(role: Role): Raft {
  const raft = member({ terms: [1, 2], hardState: { term: 3, vote: 0 } });
  if (role === 'preCandidate') timeOut(raft);
  if (role === 'candidate') campaign(raft);
  if (role === 'leader') elect(raft);
  drain(raft);
  expect(raft.role).toBe(role);
  return raft;
}

/** One message of each kind but requests for votes, of the term given, from member 2. */
function messagesOf(term: number): Message[] {
  const envelope = { from: 2, to: 1, term };
  const configuration = votersUpTo(3);
  const place = { rejected: false, index: 2, hintIndex: 0, hintTerm: 0 };
  return [
    { ...envelope, type: 'append', prevIndex: 2, prevTerm: 2, batches: [], commit: 0 },
    { ...envelope, type: 'heartbeat', commit: 0, round: 0 },
    { ...envelope, type: 'commit', commit: 0 },
    { ...envelope, type: 'snapshot', index: 2, indexTerm: 2, configuration },
    { ...envelope, type: 'appendResponse', ...place },
    { ...envelope, type: 'heartbeatResponse', round: 0, promises: false },
    { ...envelope, type: 'voteResponse', pre: false, granted: true },
    { ...envelope, type: 'voteResponse', pre: true, granted: false },
    { ...envelope, type: 'timeoutNow' },
  ];
}

const LEADERS = ['append', 'heartbeat', 'commit', 'snapshot'];

function stateOf({ role, term, vote, leader, log }: Raft): unknown {
  return { role, term, vote, leader, last: log.last, commit: log.commit };
}

describe('terms', () => {
  describe.each(ROLES)('a %s', (role) => {
    test('FollowerUpdateTermFromMessage, CandidateUpdateTermFromMessage, LeaderUpdateTermFromMessage, AllServerStepdown: follows whatever is of a higher term, and knows a leader only from what leaders send', () => {
      for (const message of messagesOf(9)) {
        if (message.type === 'timeoutNow') continue;
        const raft = inRole(role);
        raft.step(message);
        const leader = LEADERS.includes(message.type) ? 2 : 0;
        expect([message.type, raft.role, raft.term, raft.vote, raft.leader]).toEqual([
          message.type,
          'follower',
          9,
          0,
          leader,
        ]);
      }
    });

    test('RejectStaleTermMessage, StepIgnoreOldTermMsg: does nothing on a message of a lower term, but tells a deposed leader', () => {
      const answered = ['append', 'heartbeat', 'snapshot'];
      for (const message of messagesOf(2)) {
        const raft = inRole(role);
        const before = stateOf(raft);
        raft.step(message);
        expect(stateOf(raft)).toEqual(before);
        const answer = { type: 'appendResponse', to: 2, term: raft.term, rejected: true, index: 0 };
        expect(drain(raft)).toMatchObject(answered.includes(message.type) ? [answer] : []);
      }
    });

    test('VoteFromAnyState: a wanted election of a later term ends the role, and the vote goes to whoever asks', () => {
      const raft = inRole(role);
      const log = { lastIndex: raft.log.last, lastTerm: raft.log.lastTerm };
      const term = raft.term + 1;
      raft.step({ type: 'vote', from: 3, to: 1, term, pre: false, transfer: true, ...log });
      expect(stateOf(raft)).toMatchObject({ role: 'follower', term, vote: 3, leader: 0 });
      expect(drain(raft)).toMatchObject([{ type: 'voteResponse', to: 3, term, granted: true }]);
    });

    test('PreVoteFromAnyState: a pre-vote changes nothing, and a leader does not even answer it', () => {
      const raft = inRole(role);
      const before = stateOf(raft);
      const log = { lastIndex: raft.log.last, lastTerm: raft.log.lastTerm };
      const term = raft.term + 1;
      raft.step({ type: 'vote', from: 3, to: 1, term, pre: true, transfer: false, ...log });
      expect(stateOf(raft)).toEqual(before);
      const answer = { type: 'voteResponse', to: 3, term, pre: true, granted: true };
      expect(drain(raft)).toMatchObject(role === 'leader' ? [] : [answer]);
    });
  });

  test.each(['preCandidate', 'candidate'] as const)(
    'CandidateFallback, CandidateResetTermMsgHeartbeat, CandidateResetTermMsgApp: a %s follows a leader of its own term or of a later one',
    (role) => {
      for (const later of [0, 1, 5]) {
        const raft = inRole(role);
        const { term } = raft;
        for (const message of messagesOf(term + later)) {
          if (!LEADERS.includes(message.type)) continue;
          const one = inRole(role);
          one.step(message);
          expect(stateOf(one)).toMatchObject({ role: 'follower', term: term + later, leader: 2 });
        }
      }
    },
  );

  test('StateTransition: a follower or a pre-candidate cannot become leader', () => {
    for (const role of ['follower', 'preCandidate'] as const) {
      expect(() => inRole(role).becomeLeader()).toThrow('only a candidate becomes leader');
    }
  });

  test('StateTransition: a term never decreases, and one term has one leader', () => {
    const deposed = inRole('leader');
    expect(() => deposed.becomeFollower(deposed.term - 1, 0)).toThrow('terms do not decrease');
    const raft = inRole('leader');
    const heartbeat = { type: 'heartbeat', from: 2, to: 1, commit: 0, round: 0 } as const;
    expect(() => raft.step({ ...heartbeat, term: raft.term })).toThrow('a term has one leader');
  });

  test.each([
    ['follower', 3, 0, 0],
    ['preCandidate', 3, 0, 0],
    ['candidate', 4, 1, 0],
    ['leader', 4, 1, 1],
  ] as const)(
    'StateTransition: a %s of a member that was in term 3 is in term %d, voted for %d and knows %d as leader',
    (role, term, vote, leader) => {
      expect(inRole(role)).toMatchObject({ term, vote, leader });
    },
  );

  test('CampaignWhileLeader, PreCampaignWhileLeader: nothing makes a leader campaign', () => {
    const raft = inRole('leader');
    const before = stateOf(raft);
    raft.step({ type: 'timeoutNow', from: 2, to: 1, term: raft.term });
    for (let i = 0; i < 3 * ELECTION; i++) {
      raft.tick();
      const { term } = raft;
      raft.step({ type: 'heartbeatResponse', from: 2, to: 1, term, round: 0, promises: false });
    }
    expect(stateOf(raft)).toEqual(before);
    expect(drain(raft).filter((it) => it.type === 'vote')).toEqual([]);
  });
});

describe('votes', () => {
  test.each([
    // own log, candidate's last index and term, granted
    [[1], 1, 1, true],
    [[1], 2, 1, true],
    [[1, 1], 1, 1, false],
    [[1], 1, 2, true],
    [[1, 1], 1, 2, true],
    [[2], 1, 1, false],
    [[2], 2, 1, false],
  ] as const)(
    'Voter: with the log %j a vote for (%d, %d) is granted: %p',
    (terms, lastIndex, lastTerm, granted) => {
      const raft = member({ terms });
      const ask = { type: 'vote', from: 2, to: 1, pre: false, transfer: false } as const;
      raft.step({ ...ask, term: 3, lastIndex, lastTerm });
      expect(drain(raft)).toMatchObject([{ type: 'voteResponse', to: 2, term: 3, granted }]);
    },
  );

  // The log is [1, 2, 2]; the table is every combination, the rule is written down once.
  const upToDate = (index: number, term: number): boolean => term > 2 || (term === 2 && index >= 3);
  const asked = [0, 1, 2, 3, 4].flatMap((index) => [0, 1, 2, 3].map((term) => ({ index, term })));

  test.each([0, 2, 3])(
    'RecvMsgVote: who voted for %d answers member 2 in the same term',
    (votedFor) => {
      for (const { index, term } of asked) {
        for (const pre of [false, true]) {
          const raft = member({ terms: [1, 2, 2], hardState: { term: 4, vote: votedFor } });
          const ask = { type: 'vote', from: 2, to: 1, term: 4, pre, transfer: false } as const;
          raft.step({ ...ask, lastIndex: index, lastTerm: term });
          const granted = votedFor !== 3 && upToDate(index, term);
          expect(drain(raft)).toMatchObject([{ type: 'voteResponse', to: 2, pre, granted }]);
          expect(raft.vote).toBe(granted && !pre ? 2 : votedFor);
        }
      }
    },
  );

  test.each([0, 2, 3])(
    'RecvMsgVote (pre): who voted for %d answers a pre-vote for the next term by the log alone',
    (votedFor) => {
      for (const { index, term } of asked) {
        const raft = member({ terms: [1, 2, 2], hardState: { term: 4, vote: votedFor } });
        const ask = { type: 'vote', from: 2, to: 1, term: 5, pre: true, transfer: false } as const;
        raft.step({ ...ask, lastIndex: index, lastTerm: term });
        const granted = upToDate(index, term);
        // A grant carries the term that was asked for, a refusal the own one.
        const answer = { type: 'voteResponse', to: 2, pre: true, granted, term: granted ? 5 : 4 };
        expect(drain(raft)).toMatchObject([answer]);
        expect([raft.term, raft.vote]).toEqual([4, votedFor]);
      }
    },
  );

  test.each([true, false])(
    'whoever is asked for a vote, and grants it: %p, waits for an election timeout only then (§5.2)',
    (granted) => {
      const raft = member({ terms: [1, 2], hardState: { term: 4, vote: 0 } });
      // It follows whoever is in term 5, and its timer begins.
      const denial = { type: 'voteResponse', from: 3, to: 1, term: 5, pre: false } as const;
      raft.step({ ...denial, granted: false });
      tick(raft, ELECTION - 1);
      const ask = { type: 'vote', from: 2, to: 1, term: 5, pre: false, transfer: false } as const;
      raft.step({ ...ask, lastIndex: granted ? 2 : 1, lastTerm: granted ? 2 : 1 });
      expect(raft.vote).toBe(granted ? 2 : 0);
      expect(raft.tick()).toBe(!granted);
    },
  );

  test.each(['candidate', 'leader'] as const)(
    'RecvMsgVote: a %s refuses everybody else in its term',
    (role) => {
      const raft = inRole(role);
      const ask = { type: 'vote', from: 2, to: 1, pre: false, transfer: false } as const;
      raft.step({ ...ask, term: raft.term, lastIndex: 99, lastTerm: 3 });
      expect(drain(raft)).toMatchObject([{ type: 'voteResponse', granted: false }]);
      expect(raft.role).toBe(role);
    },
  );

  test('RecvMsgVote: who follows a leader does not vote in its term any more', () => {
    const raft = member({ hardState: { term: 3, vote: 0 } });
    raft.step({ type: 'heartbeat', from: 3, to: 1, term: 3, commit: 0, round: 0 });
    drain(raft);
    const ask = { type: 'vote', from: 2, to: 1, term: 3, pre: false, transfer: false } as const;
    raft.step({ ...ask, lastIndex: 99, lastTerm: 3 });
    expect(drain(raft)).toMatchObject([{ type: 'voteResponse', granted: false }]);
  });

  test('FollowerVote: the first who asks gets the vote of a term, again if it asks again, also after a restart', () => {
    const ask = (raft: Raft, from: number): unknown => {
      const blank = { type: 'vote', to: 1, term: 2, pre: false, transfer: false } as const;
      raft.step({ ...blank, from, lastIndex: 0, lastTerm: 0 });
      return drain(raft).map((it) => it.type === 'voteResponse' && it.granted);
    };
    const raft = member();
    expect([ask(raft, 2), ask(raft, 3), ask(raft, 2)]).toEqual([[true], [false], [true]]);
    const restarted = member({ hardState: { term: raft.term, vote: raft.vote } });
    expect([ask(restarted, 3), ask(restarted, 2)]).toEqual([[false], [true]]);
  });

  test('a vote leaves only when it is durable', () => {
    const raft = member();
    const ask = { type: 'vote', from: 2, to: 1, term: 2, pre: false, transfer: false } as const;
    raft.step({ ...ask, lastIndex: 0, lastTerm: 0 });
    const { messages, write } = raft.effects();
    expect([messages, write!.hardState]).toEqual([[], { term: 2, vote: 2 }]);
    raft.persisted(write!.sequence);
    expect(raft.effects().messages).toMatchObject([{ type: 'voteResponse', granted: true }]);
  });

  test('LearnerCanVote, campaign_learner_must_vote: a member that takes itself for a learner, or for a stranger, votes', () => {
    for (const configuration of [
      configurationOf({ voters: [2, 3], learners: [1] }),
      configurationOf({ voters: [2, 3] }),
    ]) {
      const raft = member({ configuration });
      const ask = { type: 'vote', from: 2, to: 1, term: 2, transfer: false } as const;
      raft.step({ ...ask, pre: true, lastIndex: 1, lastTerm: 1 });
      raft.step({ ...ask, pre: false, lastIndex: 1, lastTerm: 1 });
      expect(drain(raft)).toMatchObject([
        { pre: true, granted: true },
        { pre: false, granted: true },
      ]);
    }
  });

  test('a member that does not know whether its disk is the one of before neither votes nor campaigns', () => {
    const raft = member();
    raft.disqualified = true;
    for (const pre of [true, false]) {
      const ask = { type: 'vote', from: 2, to: 1, term: 2, transfer: true } as const;
      raft.step({ ...ask, pre, lastIndex: 9, lastTerm: 1 });
    }
    raft.step({ type: 'timeoutNow', from: 2, to: 1, term: raft.term });
    tick(raft, 3 * ELECTION);
    expect([raft.role, raft.vote, drain(raft)]).toEqual(['follower', 0, []]);
    raft.step(messagesOf(raft.term)[0]!);
    expect(raft.leader).toBe(2);
  });
});

describe('late answers', () => {
  test('late answers to a pre-vote do not count as votes', () => {
    const raft = timeOut(member());
    preVote(raft, 2);
    drain(raft);
    expect([raft.role, raft.term]).toEqual(['candidate', 1]);
    raft.step({ type: 'voteResponse', from: 3, to: 1, term: 1, pre: true, granted: true });
    expect(raft.role).toBe('candidate');
  });

  test('CandidateDeliversPreCandidateSelfVoteAfterBecomingCandidate: the own pre-vote that was held up by the disk is no vote', () => {
    const raft = member({ members: 5, terms: [1] });
    const [batch] = [{ index: 2, term: 1, count: 1, payload: new Uint8Array(0) }];
    const append = { type: 'append', from: 2, to: 1, term: 1, prevIndex: 1, prevTerm: 1 } as const;
    raft.step({ ...append, batches: [batch!], commit: 0 });
    const write = raft.effects().write!;
    timeOut(raft);
    for (const from of [2, 3, 4]) preVote(raft, from);
    expect(raft.role).toBe('candidate');
    raft.persisted(write.sequence);
    vote(raft, 2);
    vote(raft, 3);
    expect(raft.role).toBe('candidate');
    drain(raft);
    expect(raft.role).toBe('leader');
  });

  test('CandidateSelfVoteAfterLostElection: the own vote that becomes durable when the election is lost changes nothing', () => {
    const raft = campaign(member({ members: 3 }));
    const { write } = raft.effects();
    vote(raft, 2, false);
    vote(raft, 3, false);
    expect(raft.role).toBe('follower');
    raft.persisted(write!.sequence);
    vote(raft, 2);
    vote(raft, 3);
    expect(raft.role).toBe('follower');
  });

  test('CandidateSelfVoteAfterLostElection: … and it does not count in the next term', () => {
    const raft = campaign(member({ members: 5 }));
    const { write } = raft.effects();
    raft.becomeFollower(raft.term, 0);
    campaign(raft);
    raft.persisted(write!.sequence);
    vote(raft, 2);
    vote(raft, 3);
    expect(raft.role).toBe('candidate');
    drain(raft);
    expect(raft.role).toBe('leader');
  });

  test('CandidateSelfVoteAfterLostElection (pre): the own pre-vote that is released when a leader is known is ignored', () => {
    const raft = member({ members: 1, terms: [1] });
    raft.becomeFollower(2, 0);
    const write = raft.effects().write!;
    timeOut(raft);
    raft.step({ type: 'heartbeat', from: 2, to: 1, term: 2, commit: 0, round: 0 });
    raft.persisted(write.sequence);
    expect(stateOf(raft)).toMatchObject({ role: 'follower', term: 2, leader: 2 });
    expect(termsOf(raft)).toEqual([1]);
  });

  test('the first answer of a voter counts', () => {
    const raft = campaign(member({ members: 3 }));
    drain(raft);
    vote(raft, 2, false);
    vote(raft, 2, true);
    expect(raft.role).toBe('candidate');
  });
});
