import { encodeBatch, type Random } from '../../base/index.ts';
import {
  type Configuration,
  type EntryBatch,
  endOf,
  type HardState,
  type Message,
  Raft,
  type RaftOptions,
} from './index.ts';

const { bytes: PAYLOAD } = encodeBatch([new Uint8Array(10)]);
const ELECTION = 10;
const HEARTBEAT = 2;

/** Members time out in the order of their ids, unless a test says otherwise. */
const fixed = (value: number): Random => ({ below: () => value, fraction: () => 0, id: () => '' });

/** A log of one entry per term given, from index 1 on. */
function logOf(terms: readonly number[]): EntryBatch[] {
  return terms.map((term, i) => ({ index: i + 1, term, count: 1, payload: PAYLOAD }));
}

function votersUpTo(size: number): Configuration {
  const voters = Array.from({ length: size }, (_, i) => i + 1);
  return { voters, outgoing: [], learners: [], addresses: new Map(), incarnations: new Map() };
}

interface Given {
  id?: number;
  members?: number;
  terms?: readonly number[];
  hardState?: HardState;
  options?: Partial<RaftOptions>;
}

function member({ id = 1, members = 3, terms = [], hardState, options }: Given = {}): Raft {
  const runs = logOf(terms).filter((it, i, all) => all[i - 1]?.term !== it.term);
  const raft = new Raft(
    {
      id,
      electionTicks: ELECTION,
      heartbeatTicks: HEARTBEAT,
      messageBytesMax: 1_000,
      inflightBytesMax: 10_000,
      inflightMessagesMax: 4,
      uncommittedBytesMax: 4_000,
      recentBytesMax: 100_000,
      random: fixed(id - 1),
      ...options,
    },
    hardState ?? { term: terms.at(-1) ?? 0, vote: 0 },
    {
      baseIndex: 0,
      baseTerm: 0,
      runs,
      last: terms.length,
      snapshotIndex: 0,
      snapshotTerm: 0,
      configurations: [{ index: 0, configuration: votersUpTo(members) }],
    },
  );
  return raft;
}

/** Carries out writes at once, and returns all messages that leave. */
function drain(raft: Raft): Message[] {
  const sent: Message[] = [];
  for (;;) {
    const { messages, write } = raft.effects();
    sent.push(...messages);
    if (write === undefined) {
      if (messages.length === 0) return sent;
    } else raft.persisted(write.sequence);
  }
}

function elect(raft: Raft): Raft {
  raft.transferLeadership(0);
  raft.step({ type: 'timeoutNow', from: 2, to: raft.id, term: Math.max(1, raft.term) });
  drain(raft);
  for (const from of raft.configuration.voters) {
    if (from === raft.id) continue;
    const { term } = raft;
    raft.step({ type: 'voteResponse', from, to: raft.id, term, pre: false, granted: true });
  }
  return raft;
}

function acknowledge(raft: Raft, from: number, index: number): void {
  raft.step({
    type: 'appendResponse',
    from,
    to: raft.id,
    term: raft.term,
    rejected: false,
    index,
    hintIndex: 0,
    hintTerm: 0,
  });
}

/** Members that hear each other; `lost` takes messages away. Payloads older than memory come from `disk`. */
class Net {
  readonly rafts: Raft[];
  readonly disk = new Map<number, EntryBatch[]>();
  lost: (message: Message) => boolean = () => false;

  constructor(rafts: Raft[], logs: readonly (readonly number[])[] = []) {
    this.rafts = rafts;
    for (const [i, raft] of rafts.entries()) this.disk.set(raft.id, logOf(logs[i] ?? []));
  }

  settle(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const raft of this.rafts) moved = this.carryOut(raft) || moved;
    }
  }

  tick(raft: Raft, times = 1): void {
    for (let i = 0; i < times; i++) {
      raft.tick();
      this.settle();
    }
  }

  private carryOut(raft: Raft): boolean {
    const { messages, write, fetches } = raft.effects();
    const stored = this.disk.get(raft.id)!;
    if (write !== undefined) {
      const { truncateTo, sequence, batches } = write;
      while (truncateTo !== undefined && stored.length > 0 && endOf(stored.at(-1)!) > truncateTo)
        stored.pop();
      stored.push(...batches);
      raft.persisted(sequence);
    }
    for (const message of messages) {
      if (!this.lost(message)) this.rafts.find((it) => it.id === message.to)?.step(message);
    }
    for (const { to, from } of fetches) {
      raft.provide(
        to,
        from,
        stored.filter((it) => it.index === from),
      );
    }
    return messages.length > 0 || write !== undefined || fetches.length > 0;
  }
}

const isolated =
  (...ids: number[]) =>
  (message: Message): boolean =>
    ids.includes(message.from) || ids.includes(message.to);

function group(size = 3, logs: readonly (readonly number[])[] = []): Net {
  const rafts = Array.from({ length: size }, (_, i) =>
    member({ id: i + 1, members: size, ...(logs[i] === undefined ? {} : { terms: logs[i] }) }),
  );
  return new Net(rafts, logs);
}

describe('elections', () => {
  test('who does not hear its leader any more campaigns after one to two election timeouts', () => {
    const deadlines = new Set<number>();
    for (let extra = 0; extra < ELECTION; extra++) {
      const raft = member({ options: { random: fixed(extra) } });
      expect(raft.role).toBe('follower');
      raft.step({ type: 'heartbeat', from: 2, to: 1, term: 1, commit: 0, round: 0 });
      let ticks = 0;
      while (raft.role === 'follower') {
        raft.tick();
        ticks++;
      }
      deadlines.add(ticks);
    }
    expect([...deadlines].sort((a, b) => a - b)).toEqual(
      Array.from({ length: ELECTION }, (_, i) => ELECTION + i),
    );
  });

  test('a campaign asks all others with its own last entry, once the own vote is durable', () => {
    const raft = member({ terms: [1, 1, 2] });
    raft.step({ type: 'timeoutNow', from: 2, to: 1, term: 2 });
    const { messages, write } = raft.effects();
    expect(messages).toEqual([]);
    expect(write!.hardState).toEqual({ term: 3, vote: 1 });
    raft.persisted(write!.sequence);
    expect(raft.effects().messages).toMatchObject(
      [2, 3].map((to) => ({ type: 'vote', pre: false, to, term: 3, lastIndex: 3, lastTerm: 2 })),
    );
  });

  test.each([
    [1, [], 'leader'],
    [3, [true], 'leader'],
    [3, [false, false], 'follower'],
    [3, [false], 'candidate'],
    [5, [true, true], 'leader'],
    [5, [true, false], 'candidate'],
    [5, [false, false, false], 'follower'],
    [4, [true], 'candidate'],
    [4, [false, false], 'follower'],
  ] as const)('of %d members, after the answers %j a candidate is %s', (members, answers, role) => {
    const raft = member({ members });
    raft.step({ type: 'timeoutNow', from: 2, to: 1, term: 1 });
    drain(raft);
    for (const [i, granted] of answers.entries()) {
      raft.step({ type: 'voteResponse', from: i + 2, to: 1, term: 2, pre: false, granted });
    }
    expect(raft.role).toBe(role);
  });

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
    'with the log %j a vote for (%d, %d) is granted: %p',
    (terms, lastIndex, lastTerm, granted) => {
      const raft = member({ terms });
      raft.step({
        type: 'vote',
        from: 2,
        to: 1,
        term: 3,
        pre: false,
        lastIndex,
        lastTerm,
        transfer: false,
      });
      expect(drain(raft)).toMatchObject([{ type: 'voteResponse', to: 2, term: 3, granted }]);
    },
  );

  test('the first who asks gets the vote of a term, again if it asks again, also after a restart', () => {
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

  test('a failed pre-vote leaves terms as they are; a cut-off member does not depose the leader when it is back', () => {
    const net = group();
    const [one, , three] = net.rafts as [Raft, Raft, Raft];
    net.tick(one, ELECTION);
    expect(one.role).toBe('leader');
    const { term } = one;
    net.lost = isolated(3);
    net.tick(three, 100);
    expect([three.role, three.term]).toEqual(['preCandidate', term]);
    net.lost = () => false;
    net.tick(three, 30);
    net.tick(one, HEARTBEAT);
    expect([one.role, one.term, three.role, three.leader]).toEqual(['leader', term, 'follower', 1]);
  });

  test('who hears a leader grants no vote, until it does not hear it any more', () => {
    const net = group();
    const [one, two] = net.rafts as [Raft, Raft, Raft];
    net.tick(one, ELECTION);
    const ask = { type: 'vote', from: 3, to: 2, pre: false, transfer: false } as const;
    const request = { ...ask, term: one.term + 1, lastIndex: 9, lastTerm: 9 };
    two.step(request);
    expect([drain(two), two.term]).toEqual([[], one.term]);
    for (let i = 0; i < ELECTION; i++) two.tick();
    two.step(request);
    expect(drain(two)).toMatchObject([{ type: 'voteResponse', granted: true }]);
  });

  test('a leader that no majority answers resigns; one that is heard stays', () => {
    const net = group();
    const [one] = net.rafts as [Raft];
    net.tick(one, ELECTION);
    net.tick(one, 10 * ELECTION);
    expect(one.role).toBe('leader');
    net.lost = isolated(1);
    net.tick(one, 2 * ELECTION);
    expect(one.role).not.toBe('leader');
  });

  test('a member with a term that is too high is freed, and can be elected', () => {
    const net = group();
    const [one, , three] = net.rafts as [Raft, Raft, Raft];
    net.tick(one, ELECTION);
    net.lost = isolated(3);
    three.step({ type: 'timeoutNow', from: 1, to: 3, term: three.term + 5 });
    net.settle();
    const high = three.term;
    net.lost = () => false;
    net.tick(one, HEARTBEAT);
    expect(one.role).toBe('follower');
    expect(one.term).toBe(high);
  });

  test('late answers to a pre-vote do not count as votes', () => {
    const raft = member();
    for (let i = 0; i < ELECTION; i++) raft.tick();
    expect(raft.role).toBe('preCandidate');
    raft.step({ type: 'voteResponse', from: 2, to: 1, term: 1, pre: true, granted: true });
    drain(raft);
    expect([raft.role, raft.term]).toEqual(['candidate', 1]);
    raft.step({ type: 'voteResponse', from: 3, to: 1, term: 1, pre: true, granted: true });
    expect(raft.role).toBe('candidate');
  });
});

describe('replication and commit', () => {
  test('logs of every shape of figure 7 become equal to the log of the leader', () => {
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
      const logs = [leader, shape, []];
      const net = group(3, logs);
      const [one, two] = net.rafts as [Raft, Raft];
      // The third member elects the first one: the second may know better terms.
      net.lost = isolated(2);
      for (let i = 0; i < 3 && one.term < 8; i++) {
        one.step({ type: 'timeoutNow', from: 3, to: 1, term: Math.max(one.term, 7) });
        net.settle();
      }
      expect(one.role).toBe('leader');
      net.lost = () => false;
      net.tick(one, 4 * HEARTBEAT);
      const terms = (raft: Raft): unknown =>
        Array.from({ length: raft.log.last }, (_, i) => raft.log.termAt(i + 1));
      expect(terms(two)).toEqual(terms(one));
      expect(two.log.commit).toBe(one.log.commit);
    }
  });

  test('figure 8: an entry of an older term is committed only by one of the own term on top', () => {
    const raft = elect(member({ terms: [1, 2] }));
    const empty = raft.log.last;
    drain(raft);
    acknowledge(raft, 2, 2);
    expect(raft.log.commit).toBe(0);
    acknowledge(raft, 2, empty);
    expect(raft.log.commit).toBe(empty);
  });

  test('the leader counts itself only when its own disk has the entry', () => {
    const raft = elect(member({ members: 3 }));
    raft.propose(PAYLOAD, 1);
    const { write, messages } = raft.effects();
    expect(messages.filter((it) => it.type === 'append')).toHaveLength(2);
    acknowledge(raft, 2, raft.log.last);
    expect(raft.log.commit).toBe(0);
    raft.persisted(write!.sequence);
    expect(raft.log.commit).toBe(raft.log.last);
  });

  test('two others are enough while the own disk is slow', () => {
    const raft = elect(member());
    raft.propose(PAYLOAD, 1);
    raft.effects();
    acknowledge(raft, 2, raft.log.last);
    acknowledge(raft, 3, raft.log.last);
    expect(raft.log.commit).toBe(raft.log.last);
  });

  test('an acknowledgement of a late write of a former term does not count', () => {
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

  test('a follower acknowledges when it is durable, and learns of a commit only as far as the logs agree', () => {
    const raft = member({ id: 2, terms: [1, 1, 1] });
    const [, second] = logOf([1, 1]) as [EntryBatch, EntryBatch];
    raft.step({
      type: 'append',
      from: 1,
      to: 2,
      term: 2,
      prevIndex: 1,
      prevTerm: 1,
      batches: [second],
      commit: 3,
    });
    expect([raft.log.commit, raft.log.last]).toEqual([2, 3]);
    const { messages, write } = raft.effects();
    expect(messages).toEqual([]);
    raft.persisted(write!.sequence);
    expect(raft.effects().messages).toMatchObject([
      { type: 'appendResponse', index: 2, rejected: false },
    ]);
  });

  test('a rejection names a place where the logs may agree: whole terms are skipped', () => {
    const raft = member({ id: 2, terms: [1, 1, 1, 4, 4, 4, 4] });
    const probe = { type: 'append', from: 1, to: 2, term: 9, batches: [], commit: 0 } as const;
    raft.step({ ...probe, prevIndex: 6, prevTerm: 3 });
    raft.step({ ...probe, prevIndex: 20, prevTerm: 8 });
    expect(drain(raft)).toMatchObject([
      { rejected: true, index: 6, hintIndex: 3, hintTerm: 1 },
      { rejected: true, index: 20, hintIndex: 7, hintTerm: 4 },
    ]);
  });

  test('late rejections and acknowledgements change nothing', () => {
    const raft = elect(member());
    for (let i = 0; i < 3; i++) raft.propose(PAYLOAD, 1);
    drain(raft);
    acknowledge(raft, 2, 4);
    const { progress } = raft.leadership!;
    const before = { match: progress.get(2)!.match, mode: progress.get(2)!.mode };
    const reject = {
      type: 'appendResponse',
      from: 2,
      to: 1,
      term: raft.term,
      rejected: true,
    } as const;
    raft.step({ ...reject, index: 2, hintIndex: 0, hintTerm: 0 });
    acknowledge(raft, 2, 1);
    expect(progress.get(2)).toMatchObject(before);
    expect(progress.get(2)!.next).toBeGreaterThan(4);
  });

  test('a deposed leader gives up what it had not committed', () => {
    const net = group();
    const [one, two, three] = net.rafts as [Raft, Raft, Raft];
    net.tick(one, ELECTION);
    net.lost = isolated(1);
    one.propose(PAYLOAD, 1);
    net.settle();
    net.tick(three, ELECTION);
    net.tick(two, 3 * ELECTION);
    const next = [two, three].find((it) => it.role === 'leader')!;
    net.lost = () => false;
    net.tick(next, 2 * HEARTBEAT);
    expect(one.role).toBe('follower');
    expect(one.log.lastTerm).toBe(next.term);
    expect(one.log.last).toBe(next.log.last);
  });
});

describe('flow control', () => {
  test('one message while probing, a window of messages afterwards, nothing when it is full', () => {
    const raft = elect(member({ options: { messageBytesMax: 1, uncommittedBytesMax: 1e6 } }));
    const toTwo = (): number =>
      drain(raft).filter((it) => it.to === 2 && it.type === 'append').length;
    expect(toTwo()).toBe(1);
    for (let i = 0; i < 10; i++) raft.propose(PAYLOAD, 1);
    expect(toTwo()).toBe(0);
    acknowledge(raft, 2, 1);
    expect(toTwo()).toBe(4);
    expect(toTwo()).toBe(0);
    acknowledge(raft, 2, 3);
    expect(toTwo()).toBe(2);
    acknowledge(raft, 2, 2);
    expect(toTwo()).toBe(0);
  });

  test('a full window whose acknowledgements were lost is asked about with the heartbeat', () => {
    const raft = elect(member({ options: { messageBytesMax: 1, uncommittedBytesMax: 1e6 } }));
    drain(raft);
    acknowledge(raft, 2, 1);
    for (let i = 0; i < 10; i++) raft.propose(PAYLOAD, 1);
    drain(raft);
    raft.step({ type: 'heartbeatResponse', from: 2, to: 1, term: raft.term, round: 0 });
    expect(drain(raft).filter((it) => it.to === 2 && it.type === 'append')).toHaveLength(1);
  });

  test('proposals beyond the limit of uncommitted bytes are refused until some are committed', () => {
    const raft = elect(member({ options: { uncommittedBytesMax: 500 } }));
    drain(raft);
    expect(raft.propose(new Uint8Array(5_000), 1)).toBe(2);
    expect(raft.propose(PAYLOAD, 1)).toBe('full');
    drain(raft);
    acknowledge(raft, 2, 2);
    expect(raft.propose(PAYLOAD, 1)).toBe(3);
  });

  test('a lost message makes the leader probe from what is known', () => {
    const raft = elect(member());
    drain(raft);
    acknowledge(raft, 2, 1);
    raft.propose(PAYLOAD, 1);
    drain(raft);
    raft.unreachable(2);
    expect(raft.leadership!.progress.get(2)).toMatchObject({ mode: 'probe', match: 1, next: 2 });
  });
});

describe('snapshots', () => {
  function behind(): Raft {
    const raft = elect(member());
    for (let i = 0; i < 5; i++) raft.propose(PAYLOAD, 1);
    drain(raft);
    acknowledge(raft, 2, raft.log.last);
    raft.compact(raft.log.last, raft.log.last);
    drain(raft);
    const reject = {
      type: 'appendResponse',
      from: 3,
      to: 1,
      term: raft.term,
      rejected: true,
    } as const;
    raft.step({ ...reject, index: 0, hintIndex: 0, hintTerm: 0 });
    return raft;
  }

  test('a member that needs what is gone is offered the snapshot, and no entries until it has it', () => {
    const raft = behind();
    const { progress } = raft.leadership!;
    progress.get(3)!.becomeProbe();
    progress.get(3)!.active = true;
    const offers = drain(raft).filter((it) => it.to === 3);
    expect(offers).toMatchObject([{ type: 'snapshot', index: 6, indexTerm: raft.term }]);
    raft.propose(PAYLOAD, 1);
    expect(drain(raft).filter((it) => it.to === 3)).toEqual([]);
    acknowledge(raft, 3, 6);
    expect(drain(raft).filter((it) => it.to === 3)).toMatchObject([
      { type: 'append', prevIndex: 6 },
    ]);
  });

  test('an old one is ignored; one that the log agrees with only moves the commit; another replaces the log', () => {
    const configuration = votersUpTo(3);
    const offer = { type: 'snapshot', from: 1, to: 2, term: 5, configuration } as const;
    const raft = member({ id: 2, terms: [1, 1, 1] });
    raft.step({ ...offer, index: 2, indexTerm: 1 });
    expect([raft.log.commit, raft.log.last]).toEqual([2, 3]);
    expect(drain(raft)).toMatchObject([{ type: 'appendResponse', index: 2 }]);
    raft.step({ ...offer, index: 1, indexTerm: 1 });
    expect(drain(raft)).toMatchObject([{ type: 'appendResponse', index: 2 }]);
    raft.step({ ...offer, index: 3, indexTerm: 4 });
    const { write, messages } = raft.effects();
    expect(write).toMatchObject({ snapshot: { index: 3, term: 4 } });
    expect(messages).toEqual([]);
    raft.persisted(write!.sequence);
    expect(drain(raft)).toMatchObject([{ type: 'appendResponse', index: 3 }]);
    expect([raft.log.commit, raft.log.last, raft.log.lastTerm]).toEqual([3, 3, 4]);
  });
});

describe('linearizable reads', () => {
  const confirm = (raft: Raft, from: number, round: number): void =>
    raft.step({ type: 'heartbeatResponse', from, to: 1, term: raft.term, round });

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
