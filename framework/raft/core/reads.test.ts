import type { ConfirmedRead, Raft } from './index.ts';
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
} from './scenario.fixture.ts';

/** Reads that a member of a net confirms or drops from now on, as they come. */
function watch(raft: Raft): { confirmed: ConfirmedRead[]; dropped: number[] } {
  const seen = { confirmed: [] as ConfirmedRead[], dropped: [] as number[] };
  const effects = raft.effects.bind(raft);
  raft.effects = () => {
    const found = effects();
    seen.confirmed.push(...found.reads);
    seen.dropped.push(...found.droppedReads);
    return found;
  };
  return seen;
}

/** What is confirmed now. */
const reads = (raft: Raft): readonly ConfirmedRead[] => raft.effects().reads;

const contexts = (raft: Raft): number[] => reads(raft).map((it) => it.context);

describe('linearizable reads', () => {
  const confirm = (raft: Raft, from: number, round: number): void => {
    const { term } = raft;
    raft.step({ type: 'heartbeatResponse', from, to: 1, term, round, promises: false });
  };

  test('wait for the first commit of the term, and for a majority that answers afterwards', () => {
    const raft = elect(member());
    drain(raft);
    raft.readIndex(7);
    confirm(raft, 2, 0);
    expect(raft.effects().reads).toEqual([]);
    acknowledge(raft, 2, raft.log.last);
    expect(raft.effects().reads).toEqual([]);
    confirm(raft, 3, 0);
    expect(raft.effects().reads).toEqual([]);
    confirm(raft, 3, 1);
    expect(raft.effects().reads).toEqual([{ context: 7, index: raft.log.last }]);
  });

  test('share a round with those that waited, and not one that began before', () => {
    const raft = elect(member());
    drain(raft);
    acknowledge(raft, 2, 1);
    raft.readIndex(1);
    raft.readIndex(2);
    drain(raft);
    raft.readIndex(3);
    drain(raft);
    confirm(raft, 2, 1);
    expect(raft.effects().reads.map((it) => it.context)).toEqual([1, 2]);
    confirm(raft, 2, 1);
    expect(raft.effects().reads).toEqual([]);
    confirm(raft, 2, 2);
    expect(raft.effects().reads.map((it) => it.context)).toEqual([3]);
    expect(raft.leadership!.readRounds.pending).toBe(0);
  });

  test('are dropped by a leader that is deposed', () => {
    const raft = elect(member());
    raft.readIndex(1);
    drain(raft);
    raft.becomeFollower(raft.term + 1, 0);
    expect(raft.effects().droppedReads).toEqual([1]);
    expect(raft.readIndex(2)).toBe(false);
  });
});

describe('asking a majority', () => {
  test('ReadOnlyOptionSafe: a read sees everything that was committed before it was asked for', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.tickAll(2);
    const { confirmed } = watch(net.at(1));
    for (let context = 1; context <= 5; context++) {
      net.propose(1, 10);
      const { commit } = net.at(1).log;
      expect(commit).toBe(1 + 10 * context);
      net.at(1).readIndex(context);
      net.settle();
      expect(confirmed).toHaveLength(context);
      expect(confirmed.at(-1)).toEqual({ context, index: commit });
    }
  });

  test('ReadOnlyOptionSafe: … also if it has to wait for a round that began before', () => {
    const raft = settled(member());
    raft.readIndex(1);
    raft.propose(PAYLOAD, 1);
    drain(raft);
    acknowledge(raft, 2, 2);
    expect(raft.log.commit).toBe(2);
    raft.readIndex(2);
    answerHeartbeat(raft, 2, 1);
    expect(contexts(raft)).toEqual([1]);
    answerHeartbeat(raft, 2, 2);
    expect(reads(raft)).toEqual([{ context: 2, index: 2 }]);
  });

  test('ReadOnlyOptionSafe: a leader that is cut off confirms nothing, while another one commits', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.tickAll(2);
    net.lost = isolated(1);
    const seen = watch(net.at(1));
    net.at(1).readIndex(7);
    net.settle();
    for (let i = 0; i < 4 * ELECTION; i++) for (const id of [2, 3]) net.tick(net.at(id));
    const next = net.leaders.find((it) => it !== 1)!;
    net.propose(next, 3);
    expect(net.at(next).log.commit).toBeGreaterThan(net.at(1).log.commit);
    net.tick(net.at(1), HEARTBEAT);
    expect([net.at(1).role, seen.confirmed]).toEqual(['leader', []]);
    net.heal();
    net.tick(net.at(1), HEARTBEAT);
    expect([net.at(1).role, seen]).toEqual(['follower', { confirmed: [], dropped: [7] }]);
  });

  test('a leader that resigns, because no majority answers, drops what waits and what was asked', () => {
    const raft = settled(member());
    raft.readIndex(1);
    drain(raft);
    raft.readIndex(2);
    tick(raft, 2 * ELECTION);
    expect([raft.role, raft.effects().droppedReads]).toEqual(['follower', [1, 2]]);
    expect(raft.effects().droppedReads).toEqual([]);
  });

  test.each([
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [5, 2],
  ])('ReadOnlyOptionSafe: in a group of %d it takes %d others', (members, others) => {
    const raft = settled(member({ members }));
    raft.readIndex(7);
    const sent = raft.effects();
    expect(sent.reads).toHaveLength(others === 0 ? 1 : 0);
    for (let i = 1; i <= others; i++) {
      expect(reads(raft)).toEqual([]);
      answerHeartbeat(raft, i + 1, 1);
    }
    expect(reads(raft)).toHaveLength(others === 0 ? 0 : 1);
  });

  test('ReadOnlyWithLearner: answers of members that only learn do not count', () => {
    const configuration = configurationOf({ voters: [1, 2, 3], learners: [4, 5] });
    const raft = settled(member({ configuration }));
    raft.readIndex(7);
    drain(raft);
    answerHeartbeat(raft, 4, 1);
    answerHeartbeat(raft, 5, 1);
    expect(contexts(raft)).toEqual([]);
    answerHeartbeat(raft, 3, 1);
    expect(contexts(raft)).toEqual([7]);
  });

  test('while the voters change, a majority of those before and of those afterwards is needed', () => {
    for (const [first, second] of [
      [2, 4],
      [5, 3],
    ] as const) {
      const raft = settled(member());
      raft.changeMembers(changeTo([1, 4, 5]));
      raft.readIndex(7);
      drain(raft);
      answerHeartbeat(raft, first, 1);
      expect(contexts(raft)).toEqual([]);
      answerHeartbeat(raft, second, 1);
      expect(contexts(raft)).toEqual([7]);
    }
  });

  test('ReadOnlyForNewLeader: waits until an entry of its own term is committed, and sees what predecessors committed', () => {
    // Nobody told it that its entries are committed.
    const raft = elect(member({ terms: [1, 1, 2] }));
    raft.readIndex(7);
    drain(raft);
    for (const id of [2, 3]) {
      answerHeartbeat(raft, id);
      acknowledge(raft, id, 3);
    }
    expect([contexts(raft), raft.log.commit]).toEqual([[], 0]);
    acknowledge(raft, 2, 4);
    expect([contexts(raft), raft.log.commit]).toEqual([[], 4]);
    answerHeartbeat(raft, 3, raft.leadership!.readRounds.round);
    expect(reads(raft)).toEqual([{ context: 7, index: 4 }]);
  });

  test('ReadOnlyDuplicateRequest: late and repeated answers to a round confirm no later read, even of the same context', () => {
    const raft = settled(member({ members: 5 }));
    raft.readIndex(7);
    drain(raft);
    for (const from of [2, 3]) answerHeartbeat(raft, from, 1);
    expect(contexts(raft)).toEqual([7]);
    raft.readIndex(7);
    drain(raft);
    for (const from of [2, 3, 4, 5, 2, 3]) answerHeartbeat(raft, from, 1);
    expect(contexts(raft)).toEqual([]);
    // One that answered late, and one that answers anew: not yet a majority of five.
    answerHeartbeat(raft, 4, 2);
    answerHeartbeat(raft, 4, 2);
    expect(contexts(raft)).toEqual([]);
    answerHeartbeat(raft, 5, 2);
    expect(contexts(raft)).toEqual([7]);
  });

  test('ReadOnlyDuplicateRequest: answers from a term that this member led before confirm nothing', () => {
    const raft = settled(member());
    for (const round of [1, 2, 3]) {
      raft.readIndex(round);
      drain(raft);
      answerHeartbeat(raft, 2, round);
      drain(raft);
    }
    const { term } = raft;
    const answer = { type: 'heartbeatResponse', from: 3, to: 1, round: 3 } as const;
    const late = { ...answer, term, promises: false };
    raft.becomeFollower(raft.term + 1, 0);
    settled(raft);
    raft.readIndex(7);
    drain(raft);
    raft.step(late);
    expect([raft.role, contexts(raft)]).toEqual(['leader', []]);
    answerHeartbeat(raft, 3, 1);
    expect(contexts(raft)).toEqual([7]);
  });

  test('what was lost on the way is asked again with the next heartbeat', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.tickAll(2);
    const { confirmed } = watch(net.at(1));
    net.lost = (it) => it.type === 'heartbeat';
    net.at(1).readIndex(7);
    net.settle();
    expect(confirmed).toEqual([]);
    net.heal();
    net.tick(net.at(1), HEARTBEAT);
    expect(confirmed).toEqual([{ context: 7, index: 1 }]);
  });

  test('FreesReadOnlyMemory, RawNodeReadIndex: a confirmed read is handed out once, and nothing is left of it', () => {
    const raft = settled(member());
    for (let i = 0; i < 100; i++) raft.readIndex(i);
    expect(raft.leadership!.readRounds.pending).toBe(100);
    drain(raft);
    answerHeartbeat(raft, 2, 1);
    expect(raft.leadership!.readRounds.pending).toBe(0);
    expect(contexts(raft)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    answerHeartbeat(raft, 3, 1);
    expect(contexts(raft)).toEqual([]);
  });

  test('FreesReadOnlyMemory: a leader that nobody asks begins no rounds', () => {
    const raft = settled(member());
    tick(raft, HEARTBEAT);
    expect(drain(raft)).toMatchObject([
      { type: 'heartbeat', round: 0 },
      { type: 'heartbeat', round: 0 },
    ]);
  });

  test('NodeReadIndexToOldLeader: who does not lead any more says so, keeps nothing and sends nothing', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.campaign(2);
    net.tickAll(2);
    const seen = watch(net.at(1));
    for (const id of [1, 3]) {
      expect(net.at(id).readIndex(7)).toBe(false);
      expect(drain(net.at(id))).toEqual([]);
    }
    expect(net.at(2).readIndex(8)).toBe(true);
    net.settle();
    expect(seen).toEqual({ confirmed: [], dropped: [] });
  });
});

describe('leases', () => {
  test.each([undefined, 50])('a member with a lease of %p promises what it keeps', (leaseMs) => {
    const raft = member({ options: leaseMs === undefined ? {} : { leaseMs } });
    const heartbeat = { type: 'heartbeat', from: 2, to: 1, term: 1, commit: 0, round: 7 } as const;
    raft.step(heartbeat);
    const answer = { type: 'heartbeatResponse', round: 7, promises: leaseMs !== undefined };
    expect(drain(raft)).toContainEqual(expect.objectContaining(answer));
  });

  const LEASE = 50;

  /** A leader whose first entry is committed, and that has had no answer to a round yet. */
  function leased(): Raft {
    return settled(member({ options: { leaseMs: LEASE } }));
  }

  /** A round of heartbeats that a majority answers after `delay` ms. */
  function renew(raft: Raft, delay = 0): void {
    tick(raft, HEARTBEAT);
    drain(raft);
    raft.now += delay;
    answerHeartbeat(raft, 2, raft.leadership!.readRounds.round);
  }

  test('ReadOnlyOptionLease: a read is served at once while the lease lasts, with everything that is committed', () => {
    const raft = leased();
    raft.now = 1_000;
    renew(raft);
    for (const index of [1, 2]) {
      raft.now += LEASE / 2 - 1;
      raft.readIndex(index);
      expect(raft.effects().reads).toEqual([{ context: index, index }]);
      raft.propose(PAYLOAD, 1);
      drain(raft);
      acknowledge(raft, 2, index + 1);
    }
  });

  test('ReadOnlyOptionLease: … and not without one, before the first answer or when it ran out', () => {
    const raft = leased();
    raft.now = 1_000;
    raft.readIndex(1);
    expect(contexts(raft)).toEqual([]);
    drain(raft);
    answerHeartbeat(raft, 2, raft.leadership!.readRounds.round);
    drain(raft);
    raft.now += LEASE;
    raft.readIndex(2);
    expect(contexts(raft)).toEqual([]);
    answerHeartbeat(raft, 3, raft.leadership!.readRounds.round);
    expect(contexts(raft)).toEqual([2]);
  });

  test('ReadOnlyOptionLease: it begins when the majority was asked, not when it answered', () => {
    const raft = leased();
    raft.now = 1_000;
    renew(raft, LEASE - 10);
    raft.now += 9;
    raft.readIndex(1);
    expect(contexts(raft)).toEqual([1]);
    raft.now += 1;
    raft.readIndex(2);
    expect(contexts(raft)).toEqual([]);
  });

  test('ReadOnlyOptionLease: a new leader has none, although it had one in an earlier term', () => {
    const raft = leased();
    raft.now = 1_000;
    renew(raft);
    raft.becomeFollower(raft.term + 1, 0);
    elect(raft);
    drain(raft);
    raft.readIndex(1);
    expect(contexts(raft)).toEqual([]);
  });

  test('ReadOnlyOptionLease: members that promise nothing confirm reads, and give no lease', () => {
    const raft = leased();
    raft.now = 1_000;
    tick(raft, HEARTBEAT);
    drain(raft);
    const { round } = raft.leadership!.readRounds;
    const answer = { type: 'heartbeatResponse', from: 2, to: 1, round, promises: false } as const;
    raft.readIndex(1);
    raft.step({ ...answer, term: raft.term });
    drain(raft);
    raft.readIndex(2);
    expect(contexts(raft)).toEqual([]);
    raft.step({ ...answer, term: raft.term, round: raft.leadership!.readRounds.round });
    expect(contexts(raft)).toEqual([1]);
    renew(raft);
    drain(raft);
    raft.readIndex(3);
    expect(contexts(raft)).toEqual([3]);
  });

  test('ReadOnlyOptionLease: who told another member to campaign has none any more in this term', () => {
    const raft = leased();
    raft.now = 1_000;
    renew(raft);
    raft.transferLeadership(3);
    raft.readIndex(1);
    expect(contexts(raft)).toEqual([]);
    // The member may be slow to campaign: also when the transfer was given up.
    for (let i = 0; i < ELECTION; i += HEARTBEAT) renew(raft);
    expect(raft.propose(PAYLOAD, 1)).toBe(2);
    drain(raft);
    raft.readIndex(2);
    expect(contexts(raft)).toEqual([]);
  });
});
