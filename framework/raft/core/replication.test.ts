import fc from 'fast-check';
import type { EntryBatch, Raft } from './index.ts';
import {
  acknowledge,
  answerHeartbeat,
  changeTo,
  drain,
  ELECTION,
  elect,
  HEARTBEAT,
  isolated,
  logOf,
  member,
  Net,
  PAYLOAD,
  refuse,
  settled,
  termsOf,
  tick,
  timeOut,
} from './scenario.fixture.ts';

const APPEND = { type: 'append', from: 1, to: 2 } as const;

describe('commit', () => {
  test('LeaderStartReplication: a proposal goes to all with the entry before it, and is not committed yet', () => {
    const raft = settled(member());
    expect(raft.propose(PAYLOAD, 2)).toBe(2);
    const batch = { index: 2, term: 1, count: 2, payload: PAYLOAD };
    expect(drain(raft)).toEqual(
      [2, 3].map((it) => ({
        ...{ type: 'append', from: 1, to: it, term: 1 },
        ...{ prevIndex: 1, prevTerm: 1, batches: [batch], commit: 1 },
      })),
    );
    expect([raft.log.last, raft.log.commit]).toEqual([3, 1]);
  });

  test('LeaderCommitEntry: once a majority has it, it is committed, and those who have it are told', () => {
    const raft = settled(member());
    raft.propose(PAYLOAD, 1);
    drain(raft);
    acknowledge(raft, 2, 2);
    expect(raft.log.commit).toBe(2);
    expect(drain(raft)).toMatchObject([{ type: 'commit', to: 2, commit: 2 }]);
    acknowledge(raft, 3, 2);
    expect(drain(raft)).toMatchObject([{ type: 'commit', to: 3, commit: 2 }]);
  });

  test('a commit that is not urgent is told with the next entries, or alone once it is', () => {
    const raft = settled(member());
    raft.propose(PAYLOAD, 1);
    drain(raft);
    acknowledge(raft, 2, 2);
    expect(raft.effects(1)).toMatchObject({ messages: [], commitUntold: true });
    raft.propose(PAYLOAD, 1);
    const { messages, commitUntold, write } = raft.effects(1);
    expect(messages).toMatchObject([2, 3].map((to) => ({ type: 'append', to, commit: 2 })));
    expect(commitUntold).toBe(false);
    raft.persisted(write!.sequence);
    acknowledge(raft, 2, 3);
    expect(raft.effects(2)).toMatchObject({ messages: [], commitUntold: true });
    expect(raft.effects(3).messages).toMatchObject([{ type: 'commit', to: 2, commit: 3 }]);
    acknowledge(raft, 3, 3);
    expect(raft.effects(3)).toMatchObject({
      messages: [{ type: 'commit', to: 3, commit: 3 }],
      commitUntold: false,
    });
  });

  test.each([
    [1, [], true],
    [3, [], false],
    [3, [2], true],
    [3, [2, 3], true],
    [4, [2], false],
    [4, [2, 4], true],
    [5, [3], false],
    [5, [3, 5], true],
    [5, [2, 3, 4, 5], true],
  ])(
    'LeaderAcknowledgeCommit, SingleNodeCommit: of %d members, acknowledged by %j, it is committed: %p',
    (members, acceptors, committed) => {
      const raft = settled(member({ members }));
      raft.propose(PAYLOAD, 1);
      drain(raft);
      for (const it of acceptors) acknowledge(raft, it, 2);
      expect(raft.log.commit).toBe(committed ? 2 : 1);
    },
  );

  test('LeaderCommitPrecedingEntries: an entry of the own term commits all that came before it', () => {
    for (const terms of [[], [2], [1, 2], [1]]) {
      const raft = elect(member({ terms, hardState: { term: 2, vote: 0 } }));
      raft.propose(PAYLOAD, 1);
      drain(raft);
      acknowledge(raft, 2, raft.log.last);
      expect([termsOf(raft), raft.log.commit]).toEqual([[...terms, 3, 3], terms.length + 2]);
    }
  });

  test('Commit: the commit index is the highest of the own term that a majority has reached, or the one before', () => {
    const terms = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 8 });
    const matches = fc.array(fc.nat({ max: 12 }), { minLength: 0, maxLength: 5 });
    fc.assert(
      fc.property(terms, matches, fc.nat({ max: 3 }), (given, others, proposals) => {
        const sorted = [...given].sort((a, b) => a - b);
        const raft = elect(member({ members: others.length + 1, terms: sorted }));
        for (let i = 0; i < proposals; i++) raft.propose(PAYLOAD, 1);
        drain(raft);
        const { last } = raft.log;
        const reached = [last, ...others.map((it) => Math.min(it, last))];
        for (const [i, match] of reached.entries()) if (i > 0) acknowledge(raft, i + 1, match);
        let expected = 0;
        for (let index = sorted.length + 1; index <= last; index++) {
          if (2 * reached.filter((it) => it >= index).length > reached.length) expected = index;
        }
        expect(raft.log.commit).toBe(expected);
      }),
    );
  });

  test('LeaderOnlyCommitsLogFromCurrentTerm, CannotCommitWithoutNewTermEntry (figure 8): an entry of an older term is committed only by one of the own term on top', () => {
    const raft = elect(member({ terms: [1, 2] }));
    const empty = raft.log.last;
    drain(raft);
    acknowledge(raft, 2, 2);
    expect(raft.log.commit).toBe(0);
    acknowledge(raft, 2, empty);
    expect(raft.log.commit).toBe(empty);
  });

  test('CommitWithoutNewTermEntry: what a predecessor left is committed by the first entry of the next leader', () => {
    const net = Net.of(5);
    net.campaign(1);
    net.lost = isolated(3, 4, 5);
    net.propose(1, 2);
    expect(net.at(1).log.commit).toBe(1);
    net.heal();
    net.campaign(2);
    net.tickAll(2);
    expect(net.rafts.map((it) => it.log.commit)).toEqual([4, 4, 4, 4, 4]);
    expect(termsOf(net.at(5))).toEqual([1, 1, 1, 2]);
  });

  test('ProgressLeader: the leader counts itself only when its own disk has the entry', () => {
    const raft = elect(member({ members: 3 }));
    raft.propose(PAYLOAD, 1);
    const { write, messages } = raft.effects();
    expect(messages.filter((it) => it.type === 'append')).toHaveLength(2);
    acknowledge(raft, 2, raft.log.last);
    expect([raft.log.commit, raft.leadership!.progress.get(1)!.match]).toEqual([0, 0]);
    raft.persisted(write!.sequence);
    expect([raft.log.commit, raft.leadership!.progress.get(1)!.match]).toEqual([2, 2]);
  });

  test('two others are enough while the own disk is slow', () => {
    const raft = elect(member());
    raft.propose(PAYLOAD, 1);
    raft.effects();
    acknowledge(raft, 2, raft.log.last);
    acknowledge(raft, 3, raft.log.last);
    expect(raft.log.commit).toBe(raft.log.last);
  });

  test('LeaderMsgAppSelfAckAfterTermChange: an acknowledgement of a late write of a former term does not count', () => {
    const raft = elect(member());
    raft.propose(PAYLOAD, 1);
    const late = raft.effects().write!;
    raft.becomeFollower(raft.term + 1, 0);
    elect(raft);
    acknowledge(raft, 2, raft.log.last);
    raft.persisted(late.sequence);
    expect(raft.log.commit).toBe(0);
    drain(raft);
    expect(raft.log.commit).toBe(raft.log.last);
  });

  test('CommitAfterRemoveNode: waiting entries are committed by the smaller group', () => {
    const raft = settled(member({ members: 2 }));
    raft.changeMembers(changeTo([1]));
    raft.propose(PAYLOAD, 1);
    drain(raft);
    expect(raft.log.commit).toBe(1);
    acknowledge(raft, 2, 2);
    drain(raft);
    // The change is committed by both; the entry behind it and the end of the change need one.
    expect([raft.log.commit, raft.log.last, raft.configuration.voters]).toEqual([4, 4, [1]]);
  });
});

describe('heartbeats', () => {
  test('LeaderBcastBeat, BcastBeat: carry the commit index as far as the member has the entries, and nothing else', () => {
    const raft = settled(member());
    for (let i = 0; i < 3; i++) raft.propose(PAYLOAD, 1);
    drain(raft);
    acknowledge(raft, 2, 4);
    acknowledge(raft, 3, 2);
    drain(raft);
    tick(raft, HEARTBEAT);
    expect(drain(raft)).toEqual([
      { type: 'heartbeat', from: 1, to: 2, term: 1, commit: 4, round: 0 },
      { type: 'heartbeat', from: 1, to: 3, term: 1, commit: 2, round: 0 },
    ]);
  });

  test('RecvMsgBeat: only a leader sends any', () => {
    const raft = member();
    raft.step({ type: 'heartbeat', from: 2, to: 1, term: 1, commit: 0, round: 0 });
    drain(raft);
    tick(raft, ELECTION - 1);
    expect(drain(raft)).toEqual([]);
    timeOut(raft);
    expect(drain(raft).every((it) => it.type === 'vote')).toBe(true);
    tick(raft, ELECTION - 1);
    expect(drain(raft)).toEqual([]);
  });

  test('HandleHeartbeat: the commit index moves forward only', () => {
    const raft = member({ id: 2, terms: [1, 1, 1] });
    for (const [commit, then] of [
      [2, 2],
      [1, 2],
      [0, 2],
      [3, 3],
    ] as const) {
      raft.step({ type: 'heartbeat', from: 1, to: 2, term: 1, commit, round: 7 });
      expect(raft.log.commit).toBe(then);
    }
    expect(drain(raft)[0]).toMatchObject({ type: 'heartbeatResponse', to: 1, round: 7 });
  });

  test('HandleHeartbeatResp: an answer of a member that lacks something is followed by an append, until it has all', () => {
    const raft = settled(member());
    raft.propose(PAYLOAD, 1);
    drain(raft);
    for (let i = 0; i < 3; i++) {
      answerHeartbeat(raft, 2);
      expect(drain(raft)).toMatchObject([{ type: 'append', to: 2, prevIndex: 2, batches: [] }]);
    }
    acknowledge(raft, 2, 2);
    drain(raft);
    answerHeartbeat(raft, 2);
    expect(drain(raft)).toEqual([]);
  });

  test('lagging_commit: news of a commit whose acknowledgement was lost arrive after one heartbeat', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.tickAll(2);
    net.lost = (it) => it.type === 'appendResponse' && it.from === 3;
    net.propose(1);
    expect(net.rafts.map((it) => it.log.commit)).toEqual([2, 2, 1]);
    net.heal();
    net.tick(net.at(1), HEARTBEAT);
    expect(net.at(3).log.commit).toBe(2);
  });
});

describe('a follower', () => {
  test('acknowledges when it is durable, and learns of a commit only as far as the logs agree', () => {
    const raft = member({ id: 2, terms: [1, 1, 1] });
    const [, second] = logOf([1, 1]) as [EntryBatch, EntryBatch];
    raft.step({ ...APPEND, term: 2, prevIndex: 1, prevTerm: 1, batches: [second], commit: 3 });
    expect([raft.log.commit, raft.log.last]).toEqual([2, 3]);
    const { messages, write } = raft.effects();
    expect(messages).toEqual([]);
    raft.persisted(write!.sequence);
    expect(raft.effects().messages).toMatchObject([
      { type: 'appendResponse', index: 2, rejected: false },
    ]);
  });

  test.each([
    // previous index and term, terms of new entries, the leader's commit: the log then, its commit
    [0, 0, [], 2, [1, 2], 0],
    [1, 1, [], 2, [1, 2], 1],
    [2, 2, [], 2, [1, 2], 2],
    [2, 2, [3], 1, [1, 2, 3], 1],
    [2, 2, [3], 4, [1, 2, 3], 3],
    [0, 0, [1, 2], 1, [1, 2], 1],
    [0, 0, [1, 3], 2, [1, 3], 2],
    [0, 0, [3], 1, [3], 1],
    [1, 1, [3, 3], 3, [1, 3, 3], 3],
    [2, 1, [3], 3, [1, 2], 0],
    [3, 2, [3], 3, [1, 2], 0],
  ])(
    'HandleMsgApp, FollowerAppendEntries, FollowerCommitEntry: with [1, 2], entries behind (%d, %d) of terms %j and commit %d lead to %j, committed up to %d',
    (prevIndex, prevTerm, terms, commit, log, committed) => {
      const raft = member({ id: 2, terms: [1, 2] });
      const batches = logOf(terms).map((it) => ({ ...it, index: it.index + prevIndex }));
      raft.step({ ...APPEND, term: 3, prevIndex, prevTerm, batches, commit });
      expect([termsOf(raft), raft.log.commit]).toEqual([log, committed]);
    },
  );

  test('FollowerAppendEntries: what is there already is not written again', () => {
    const raft = member({ id: 2, terms: [1, 2], hardState: { term: 3, vote: 0 } });
    const batches = logOf([1, 2, 3]);
    raft.step({ ...APPEND, term: 3, prevIndex: 0, prevTerm: 0, batches, commit: 0 });
    expect(raft.effects().write).toMatchObject({ truncateTo: undefined, batches: [batches[2]] });
    raft.step({ ...APPEND, term: 3, prevIndex: 0, prevTerm: 0, batches, commit: 3 });
    expect([raft.effects().write, raft.log.commit]).toEqual([undefined, 3]);
  });

  test('FollowerCheckMsgApp: a rejection names a place where the logs may agree: whole terms are skipped', () => {
    const raft = member({ id: 2, terms: [1, 1, 1, 4, 4, 4, 4] });
    const probe = { ...APPEND, term: 9, batches: [], commit: 0 };
    raft.step({ ...probe, prevIndex: 6, prevTerm: 3 });
    raft.step({ ...probe, prevIndex: 20, prevTerm: 8 });
    expect(drain(raft)).toMatchObject([
      { rejected: true, index: 6, hintIndex: 3, hintTerm: 1 },
      { rejected: true, index: 20, hintIndex: 7, hintTerm: 4 },
    ]);
  });

  test('whoever appends behind what is committed is told of the commit, whatever the entries there', () => {
    const raft = member({ id: 2, terms: [1, 1, 1] });
    raft.step({ type: 'heartbeat', from: 1, to: 2, term: 1, commit: 2, round: 0 });
    drain(raft);
    const batches = logOf([1, 1, 1, 1]);
    raft.step({ ...APPEND, term: 1, prevIndex: 0, prevTerm: 0, batches, commit: 4 });
    expect(drain(raft)).toMatchObject([{ type: 'appendResponse', rejected: false, index: 2 }]);
    expect(termsOf(raft)).toEqual([1, 1, 1]);
  });
});

describe('a leader brings logs together', () => {
  test('LeaderSyncFollowerLog, probe_and_replicate: logs of every shape of figure 7 become equal to the log of the leader', () => {
    const leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const shapes = [
      [1, 1, 1, 4, 4, 5, 5, 6, 6],
      [1, 1, 1, 4],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
      [1, 1, 1, 4, 4, 4, 4],
      [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    for (const shape of shapes) {
      const net = Net.of(3, {}, [leader, shape, []]);
      const [one, two] = net.rafts as [Raft, Raft];
      // The third member elects the first one: the second may know better terms.
      net.lost = isolated(2);
      for (let i = 0; i < 3 && one.term < 8; i++) {
        one.step({ type: 'timeoutNow', from: 3, to: 1, term: Math.max(one.term, 7) });
        net.settle();
      }
      expect(one.role).toBe('leader');
      net.heal();
      net.tick(one, 4 * HEARTBEAT);
      expect(termsOf(two)).toEqual([...leader, 8]);
      expect(termsOf(two)).toEqual(termsOf(one));
      expect(two.log.commit).toBe(one.log.commit);
    }
  });

  test.each([
    // the leader's log before its first entry, the follower's, prevIndex of each append until it agrees
    [
      [1, 3, 3, 5, 5, 5],
      [1, 1, 1, 4, 4, 4, 4],
      [6, 3, 1],
    ],
    [
      [1, 1, 1, 1, 1, 5, 5],
      [1, 1, 1, 3, 3, 3, 3],
      [7, 5, 3],
    ],
    [
      [1, 3, 4],
      [1, 1, 1, 2],
      [3, 1],
    ],
    [
      [1, 1, 1, 1],
      [1, 1],
      [4, 2],
    ],
    [
      [2, 2, 2, 2],
      [1, 1, 1, 1, 1],
      [4, 0],
    ],
    [
      [1, 1, 1, 5, 5],
      [1, 1, 1, 2, 2, 4, 4],
      [5, 3],
    ],
    [[1, 1], [], [2, 0]],
  ])(
    'FastLogRejection: a leader with %j asks a follower with %j at %j',
    (leader, follower, places) => {
      const net = Net.of(3, { hardState: { term: 9, vote: 0 } }, [leader, follower]);
      net.lost = isolated(2);
      net.campaign(1);
      const asked: number[] = [];
      net.lost = (it) => {
        if (it.to === 2 && it.type === 'append') asked.push(it.prevIndex);
        return false;
      };
      net.tick(net.at(1), HEARTBEAT);
      const down = asked.filter((it, i) => it < (asked[i - 1] ?? Infinity));
      expect([down, termsOf(net.at(2))]).toEqual([places, [...leader, 10]]);
    },
  );

  test('FastLogRejection: … and a follower that has compacted what the leader asks about names its commit', () => {
    const net = Net.of(3, {}, [[1, 1, 1], [1, 1, 1], []]);
    net.campaign(1);
    net.propose(1, 3);
    net.tickAll(2);
    net.compact(2);
    net.at(2).step({ ...APPEND, term: 2, prevIndex: 2, prevTerm: 1, batches: [], commit: 0 });
    expect(drain(net.at(2))).toMatchObject([{ rejected: false, index: 7 }]);
  });

  test('LogReplication: proposals under two leaders are on all members in their order', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.propose(1, 2);
    net.campaign(2);
    net.propose(2, 2);
    net.tickAll(2);
    for (const raft of net.rafts) {
      expect([termsOf(raft), raft.log.commit]).toEqual([[1, 1, 1, 2, 2, 2], 6]);
    }
  });

  test.each([
    [3, [], true],
    [3, [3], true],
    [3, [2, 3], false],
    [5, [2, 4], true],
    [5, [2, 3, 4], false],
  ])('Proposal: of %d members without %j it is committed: %p', (size, dead, success) => {
    const net = Net.of(size);
    net.campaign(1);
    net.lost = isolated(...dead);
    net.propose(1);
    net.tickAll(2);
    expect(net.at(1).log.commit).toBe(success ? 2 : 1);
    for (const it of net.rafts) {
      expect(it.log.last).toBe(dead.includes(it.id) ? 1 : 2);
    }
  });

  test('Proposal: only a leader takes it, and others keep their logs', () => {
    for (const raft of [member(), timeOut(member())]) {
      expect([raft.propose(PAYLOAD, 1), raft.log.last]).toEqual(['notLeader', 0]);
      expect(raft.changeMembers(changeTo([1]))).toBe('notLeader');
      expect([raft.readIndex(1), raft.transferLeadership(2)]).toEqual([false, false]);
    }
  });

  test('LogReplicationWithReorderedMessage, LeaderAppResp: late rejections and acknowledgements change nothing', () => {
    const raft = elect(member());
    for (let i = 0; i < 3; i++) raft.propose(PAYLOAD, 1);
    drain(raft);
    acknowledge(raft, 2, 4);
    const { progress } = raft.leadership!;
    const before = { match: progress.get(2)!.match, mode: progress.get(2)!.mode };
    refuse(raft, 2, 2);
    acknowledge(raft, 2, 1);
    expect(progress.get(2)).toMatchObject(before);
    expect(progress.get(2)!.next).toBeGreaterThan(4);
  });

  test('a deposed leader gives up what it had not committed', () => {
    const net = Net.of(3);
    const [one, two, three] = net.rafts as [Raft, Raft, Raft];
    net.tick(one, ELECTION);
    net.lost = isolated(1);
    one.propose(PAYLOAD, 1);
    net.settle();
    net.tick(three, ELECTION);
    net.tick(two, 3 * ELECTION);
    const next = [two, three].find((it) => it.role === 'leader')!;
    net.heal();
    net.tick(next, 2 * HEARTBEAT);
    expect(one.role).toBe('follower');
    expect(one.log.lastTerm).toBe(next.term);
    expect(one.log.last).toBe(next.log.last);
  });
});

// Not here:
// - ProposalByProxy: the core refuses what only a leader can do, and who drives it sends it on.
