import type { Configuration, Message, Raft, SnapshotMessage } from './index.ts';
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
  refuse,
  settled,
  tick,
  timeOut,
  to,
  votersUpTo,
} from './scenario.fixture.ts';

const OFFER = {
  ...{ type: 'snapshot', from: 1, to: 2, term: 5, index: 11, indexTerm: 4 },
  configuration: votersUpTo(3),
} as const satisfies Message;

const APPEND = { type: 'append', from: 1, to: 2, term: 5 } as const;

const offersTo = (raft: Raft, id: number): SnapshotMessage[] =>
  drain(raft).filter((it): it is SnapshotMessage => it.to === id && it.type === 'snapshot');

const progressOf = (raft: Raft, id: number) => raft.leadership!.progress.get(id)!;

describe('a leader whose first entries are gone', () => {
  /** Entries 1 … 6, of which the third member has none and the leader only those after `base`. */
  function compacted(base = 6): Raft {
    const raft = elect(member());
    for (let i = 0; i < 5; i++) raft.propose(PAYLOAD, 1);
    drain(raft);
    acknowledge(raft, 2, 6);
    raft.compact(6, base);
    drain(raft);
    return raft;
  }

  /** … and the third member, which answers, is offered the snapshot. */
  function offering(base = 6): Raft {
    const raft = compacted(base);
    answerHeartbeat(raft, 3);
    expect(offersTo(raft, 3)).toHaveLength(1);
    return raft;
  }

  test('ProvideSnap, SendingSnapshotSetPendingSnapshot: a member that needs what is gone is offered the snapshot, and that is remembered', () => {
    const raft = compacted();
    expect(drain(raft)).toEqual([]);
    answerHeartbeat(raft, 3);
    expect(drain(raft).filter(to(3))).toEqual([
      {
        ...{ type: 'snapshot', from: 1, to: 3, term: 1, index: 6, indexTerm: 1 },
        configuration: raft.configuration,
      },
    ]);
    expect(progressOf(raft, 3)).toMatchObject({ mode: 'snapshot', snapshotIndex: 6, match: 0 });
  });

  test.each([
    [2, false],
    [3, true],
  ])(
    'ProvideSnap: with the entries up to %d gone, one that has two is offered the snapshot: %p',
    (base, offered) => {
      const raft = elect(member({ terms: [1, 1, 1, 1, 1] }));
      drain(raft);
      acknowledge(raft, 2, 6);
      raft.compact(6, base);
      drain(raft);
      refuse(raft, 3, 5, [2, 1]);
      const { messages, fetches } = raft.effects();
      expect(messages.filter(to(3, 'snapshot'))).toHaveLength(offered ? 1 : 0);
      expect(fetches).toMatchObject(offered ? [] : [{ to: 3, from: 3 }]);
    },
  );

  test('ProvideSnap: entries that turn out to be gone from the disk are replaced by the snapshot', () => {
    const raft = settled(member({ terms: [1, 1, 1] }));
    raft.compact(3, 0);
    raft.leadership!.progress.delete(3);
    raft.leadership!.configure();
    drain(raft);
    refuse(raft, 3, 4);
    expect(raft.effects().fetches).toMatchObject([{ to: 3, from: 1 }]);
    raft.provide(3, 1, []);
    expect(offersTo(raft, 3)).toMatchObject([{ index: 3, indexTerm: 1 }]);
  });

  test('IgnoreProvidingSnap: a member that does not answer is offered nothing, until it does', () => {
    const raft = settled(member());
    for (let i = 0; i < 5; i++) raft.propose(PAYLOAD, 1);
    drain(raft);
    acknowledge(raft, 2, 6);
    raft.compact(6, 6);
    for (let i = 0; i < 2 * ELECTION; i++) {
      raft.tick();
      answerHeartbeat(raft, 2);
      drain(raft);
    }
    expect(raft.role).toBe('leader');
    raft.unreachable(3);
    raft.propose(PAYLOAD, 1);
    tick(raft, HEARTBEAT);
    expect(offersTo(raft, 3)).toEqual([]);
    expect(progressOf(raft, 3).mode).toBe('probe');
    answerHeartbeat(raft, 3);
    expect(offersTo(raft, 3)).toMatchObject([{ index: 6 }]);
  });

  test('PendingSnapshotPauseReplication: while it is offered there are heartbeats, and no entries', () => {
    const raft = offering();
    for (let i = 0; i < 3; i++) {
      raft.propose(PAYLOAD, 1);
      raft.unreachable(3);
      answerHeartbeat(raft, 3);
      refuse(raft, 3, 6);
      expect(drain(raft).filter(to(3))).toEqual([]);
    }
    tick(raft, HEARTBEAT);
    expect(drain(raft).filter(to(3, 'heartbeat'))).toMatchObject([{ commit: 0 }]);
    expect(progressOf(raft, 3)).toMatchObject({ mode: 'snapshot', snapshotIndex: 6 });
  });

  test('SnapshotFailure: an offer that was lost is repeated with the heartbeat, and then it is the newest snapshot', () => {
    const raft = offering();
    tick(raft, HEARTBEAT);
    expect(offersTo(raft, 3)).toMatchObject([{ index: 6 }]);
    raft.propose(PAYLOAD, 2);
    drain(raft);
    acknowledge(raft, 2, 8);
    raft.compact(8, 8);
    tick(raft, HEARTBEAT);
    expect(offersTo(raft, 3)).toMatchObject([{ index: 8 }]);
    expect(progressOf(raft, 3)).toMatchObject({ mode: 'snapshot', snapshotIndex: 8 });
  });

  test('SnapshotSucceed, snapshot_succeed_via_app_resp: the acknowledgement of the snapshot is followed by the entries behind it', () => {
    const raft = offering();
    raft.propose(PAYLOAD, 1);
    drain(raft);
    acknowledge(raft, 3, 6);
    expect(progressOf(raft, 3)).toMatchObject({ mode: 'replicate', match: 6, next: 7 });
    expect(drain(raft).filter(to(3))).toMatchObject([
      { type: 'append', prevIndex: 6, prevTerm: 1, batches: [{ index: 7 }], commit: 6 },
    ]);
  });

  test('SnapshotAbort: an acknowledgement at or above the pending index ends the wait', () => {
    for (const index of [6, 7, 8]) {
      const raft = offering();
      for (let i = 0; i < 2; i++) raft.propose(PAYLOAD, 1);
      drain(raft);
      acknowledge(raft, 3, index);
      raft.propose(PAYLOAD, 1);
      expect(progressOf(raft, 3)).toMatchObject({ mode: 'replicate', match: index });
      expect(drain(raft).filter(to(3, 'append'))).toMatchObject([{ prevIndex: index }]);
      tick(raft, HEARTBEAT);
      expect(offersTo(raft, 3)).toEqual([]);
    }
  });

  test.each([
    [3, false],
    [4, true],
    [5, true],
  ])(
    'snapshot_succeed_via_app_resp_behind: with entries from 5 on, a member that has an older snapshot of %d can go on from it: %p',
    (index, goesOn) => {
      const raft = offering(4);
      acknowledge(raft, 3, index);
      expect(progressOf(raft, 3).mode).toBe(goesOn ? 'replicate' : 'snapshot');
      const appends = drain(raft).filter(to(3, 'append'));
      expect(appends).toMatchObject(goesOn ? [{ prevIndex: index }] : []);
      tick(raft, HEARTBEAT);
      expect(offersTo(raft, 3)).toMatchObject(goesOn ? [] : [{ index: 6 }]);
    },
  );

  test('the offer says who belonged to the group at the snapshot, and not who does now', () => {
    const raft = settled(member());
    raft.changeMembers(changeTo([1, 2, 3], [4]));
    drain(raft);
    for (const index of [1, 2]) {
      raft.compact(index, index);
      raft.leadership!.progress.get(3)!.becomeSnapshot(index);
      tick(raft, HEARTBEAT);
      const learners = index === 1 ? [] : [4];
      expect(offersTo(raft, 3)).toMatchObject([{ index, configuration: { learners } }]);
      acknowledge(raft, 2, 2);
    }
  });
});

describe('a member that is offered a snapshot', () => {
  test('an old one is ignored; one that the log agrees with only moves the commit; another replaces the log', () => {
    const raft = member({ id: 2, terms: [1, 1, 1] });
    raft.step({ ...OFFER, index: 2, indexTerm: 1 });
    expect([raft.log.commit, raft.log.last]).toEqual([2, 3]);
    expect(drain(raft)).toMatchObject([{ type: 'appendResponse', index: 2 }]);
    raft.step({ ...OFFER, index: 1, indexTerm: 1 });
    expect(drain(raft)).toMatchObject([{ type: 'appendResponse', index: 2 }]);
    raft.step({ ...OFFER, index: 3, indexTerm: 4 });
    const { write, messages } = raft.effects();
    expect(write).toMatchObject({ snapshot: { index: 3, term: 4 } });
    expect(messages).toEqual([]);
    raft.persisted(write!.sequence);
    expect(drain(raft)).toMatchObject([{ type: 'appendResponse', index: 3 }]);
    expect([raft.log.commit, raft.log.last, raft.log.lastTerm]).toEqual([3, 3, 4]);
  });

  test('Restore: takes over its index, term and members; a second time it changes nothing', () => {
    const raft = member({ id: 2, terms: [1, 1, 1], hardState: { term: 5, vote: 0 } });
    const configuration = configurationOf({ voters: [1, 2, 3, 7], learners: [8] });
    raft.step({ ...OFFER, configuration });
    expect(raft.log).toMatchObject({ baseIndex: 11, last: 11, lastTerm: 4, commit: 11 });
    expect([3, 10, 11].map((it) => raft.log.termAt(it))).toEqual([undefined, undefined, 4]);
    expect(raft.configuration).toEqual(configuration);
    drain(raft);
    raft.step({ ...OFFER, configuration: votersUpTo(1) });
    const { write, messages } = raft.effects();
    expect(write).toBeUndefined();
    expect(messages).toMatchObject([{ type: 'appendResponse', rejected: false, index: 11 }]);
    expect(raft.configuration).toEqual(configuration);
  });

  test('Restore: nobody hears that it has it, or that it campaigns, before it is on its disk', () => {
    const raft = member({ id: 2, hardState: { term: 5, vote: 0 } });
    raft.step(OFFER);
    const { write, messages } = raft.effects();
    timeOut(raft);
    expect([messages, raft.effects().messages]).toEqual([[], []]);
    raft.persisted(write!.sequence);
    const request = { type: 'vote', pre: true, lastIndex: 11, lastTerm: 4 };
    expect(drain(raft)).toMatchObject([{ type: 'appendResponse', index: 11 }, request, request]);
  });

  test('Restore: entries behind it are taken, and those before it are not asked about again', () => {
    const raft = member({ id: 2, hardState: { term: 5, vote: 0 } });
    raft.step(OFFER);
    drain(raft);
    raft.step({ ...APPEND, prevIndex: 9, prevTerm: 4, batches: [], commit: 9 });
    const batches = [{ index: 12, term: 5, count: 1, payload: PAYLOAD }];
    raft.step({ ...APPEND, prevIndex: 11, prevTerm: 4, batches, commit: 12 });
    expect(drain(raft)).toMatchObject([11, 12].map((index) => ({ rejected: false, index })));
    expect([raft.log.last, raft.log.commit]).toEqual([12, 12]);
  });

  test('Restore: what is about to be written behind it, and no entry that it replaces, is on the disk in the end', () => {
    const raft = member({ id: 2, terms: [1] });
    const old = { index: 2, term: 2, count: 1, payload: PAYLOAD };
    const next = { index: 12, term: 5, count: 1, payload: PAYLOAD };
    raft.step({ ...APPEND, prevIndex: 1, prevTerm: 1, batches: [old], commit: 0 });
    raft.step(OFFER);
    raft.step({ ...APPEND, prevIndex: 11, prevTerm: 4, batches: [next], commit: 0 });
    expect(raft.effects().write).toMatchObject({
      hardState: { term: 5, vote: 0 },
      snapshot: { index: 11, term: 4 },
      truncateTo: undefined,
      batches: [next],
    });
  });

  test.each([
    // own log, index and term of the snapshot, replaced, commit then, last then
    [[1, 1, 1, 4], 2, 1, false, 2, 4],
    [[1, 1, 1, 4], 4, 4, false, 4, 4],
    [[1, 1, 1, 4], 3, 2, true, 3, 3],
    [[1, 1, 1, 4], 4, 5, true, 4, 4],
    [[1, 1, 1, 4], 5, 5, true, 5, 5],
  ])(
    'RestoreIgnoreSnapshot: with the log %j, one of (%d, %d) replaces it: %p',
    (terms, index, indexTerm, replaces, commit, last) => {
      const raft = member({ id: 2, terms, hardState: { term: 5, vote: 0 } });
      raft.step({ ...OFFER, index, indexTerm });
      expect(raft.log).toMatchObject({ commit, last });
      expect(raft.effects().write !== undefined).toBe(replaces);
      raft.step({ ...OFFER, index: 1, indexTerm: 1, configuration: votersUpTo(7) });
      expect(raft.log).toMatchObject({ commit, last });
      expect(raft.configuration.voters).toEqual([1, 2, 3]);
    },
  );

  test('RestoreFromSnapMsg: its sender is the leader, also for one that campaigns', () => {
    const follower = member({ id: 2 });
    follower.step(OFFER);
    expect(follower).toMatchObject({ role: 'follower', term: 5, leader: 1 });
    const candidate = timeOut(member({ id: 2, hardState: { term: 5, vote: 0 } }));
    candidate.step(OFFER);
    expect(candidate).toMatchObject({ role: 'follower', term: 5, leader: 1 });
  });

  test.each<[string, Partial<Configuration>]>([
    ['RestoreWithLearner', { voters: [1, 3], learners: [2, 4] }],
    ['RestoreWithVotersOutgoing', { voters: [1, 2, 4], outgoing: [1, 2, 3] }],
    ['RestoreWithVotersOutgoing', { voters: [2, 4], outgoing: [1, 2, 3], learners: [1, 9] }],
  ])('%s: the members come back exactly, also after a restart: %j', (_, part) => {
    const net = new Net([{ id: 2, configuration: configurationOf({}) }]);
    const addresses = new Map([[2, 'two:1']]);
    const incarnations = new Map([[2, 'disk']]);
    const configuration = configurationOf({ ...part, addresses, incarnations });
    net.at(2).step({ ...OFFER, configuration });
    expect(net.at(2).configuration).toEqual(configuration);
    net.settle();
    net.restart(2);
    expect(net.at(2).configuration).toEqual(configuration);
    expect(net.at(2).log).toMatchObject({ baseIndex: 11, last: 11, commit: 11, lastTerm: 4 });
  });

  test.each<[string, Partial<Configuration>, Partial<Configuration>, boolean]>([
    ['RestoreVoterToLearner', { voters: [1, 2, 3] }, { voters: [1, 3], learners: [2] }, false],
    ['RestoreVoterToLearner', { voters: [1, 2, 3] }, { voters: [1, 3] }, false],
    ['RestoreLearnerPromotion', { voters: [1, 3], learners: [2] }, { voters: [1, 2, 3] }, true],
    ['RestoreLearnerPromotion', { voters: [] }, { voters: [1, 3], outgoing: [1, 2] }, true],
  ])('%s: with %j, a snapshot with %j makes a voter: %p', (_, before, after, votes) => {
    const raft = member({ id: 2, configuration: configurationOf(before) });
    expect(raft.promotable).toBe(before.voters!.includes(2));
    raft.step({ ...OFFER, configuration: configurationOf(after) });
    drain(raft);
    expect(raft.promotable).toBe(votes);
    expect(timeOut(raft).role).toBe(votes ? 'preCandidate' : 'follower');
  });
});

describe('a member that is behind', () => {
  test('SlowNodeRestore: is brought level by the snapshot and the entries behind it', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.lost = isolated(3);
    net.propose(1, 100);
    net.compact(1);
    net.propose(1, 3);
    net.heal();
    net.tick(net.at(1), 2 * HEARTBEAT);
    expect(net.at(3).log).toMatchObject({ baseIndex: 101, last: 104, commit: 104 });
    net.propose(1);
    expect(net.at(3).log).toMatchObject({ last: 105, commit: 105 });
    expect(net.restart(3).log).toMatchObject({ snapshotIndex: 101, last: 105 });
  });

  test('SlowNodeRestore: … and what it had instead of it is gone', () => {
    const terms = [1, 1, 2, 2, 2, 2];
    const net = Net.of(3, { hardState: { term: 3, vote: 0 } }, [[1, 1], [1, 1], terms]);
    net.lost = isolated(3);
    net.campaign(1);
    net.propose(1, 2);
    net.compact(1);
    net.heal();
    net.tick(net.at(1), 2 * HEARTBEAT);
    expect(net.at(3).log).toMatchObject({ baseIndex: 5, last: 5, commit: 5, lastTerm: 4 });
    expect(net.disk.get(3)!.batches).toEqual([]);
  });

  test('LearnerReceiveSnapshot: one that only learns catches up by it', () => {
    const configuration = configurationOf({ voters: [1], learners: [2] });
    const net = new Net([1, 2].map((id) => ({ id, configuration })));
    net.lost = isolated(2);
    net.campaign(1);
    net.propose(1, 5);
    net.compact(1);
    net.heal();
    net.tick(net.at(1), 2 * HEARTBEAT);
    expect(net.at(2).log).toMatchObject({ baseIndex: 6, commit: 6 });
    expect(net.at(2).configuration).toEqual(net.at(1).configuration);
    expect(progressOf(net.at(1), 2)).toMatchObject({ mode: 'replicate', match: 6 });
  });

  test.each([
    ['entries', 0],
    ['the snapshot', 17],
  ])(
    'replicate_pause, slow_follower_after_compaction: whose window is full of lost entries recovers by %s',
    (_, baseIndex) => {
      const net = Net.of(3, { options: { messageBytesMax: 1, uncommittedBytesMax: 1e6 } });
      net.campaign(1);
      net.lost = to(3, 'append');
      net.propose(1, 16);
      const progress = progressOf(net.at(1), 3);
      expect([progress.mode, progress.inflights.full, progress.match]).toEqual([
        'replicate',
        true,
        1,
      ]);
      if (baseIndex > 0) net.compact(1);
      net.heal();
      net.tick(net.at(1), 2 * HEARTBEAT);
      expect(net.at(3).log).toMatchObject({ baseIndex, last: 17, commit: 17 });
      expect(progress).toMatchObject({ mode: 'replicate', match: 17 });
    },
  );
});
