import type { Raft, RaftOptions } from './index.ts';
import { Inflights } from './inflights.ts';
import { Progress } from './progress.ts';
import {
  acknowledge,
  answerHeartbeat,
  drain,
  elect,
  HEARTBEAT,
  isolated,
  member,
  Net,
  PAYLOAD,
  refuse,
  settled,
  tick,
  to,
} from './scenario.fixture.ts';

/** A leader that sends one entry per message, four messages at a time. */
function small(options: Partial<RaftOptions> = {}): Raft {
  return elect(member({ options: { messageBytesMax: 1, uncommittedBytesMax: 1e6, ...options } }));
}

const toTwo = (raft: Raft): number => drain(raft).filter(to(2, 'append')).length;

describe('what a leader sends ahead', () => {
  test('ProgressPaused, ProgressFlowControl, MsgAppFlowControlFull, MsgAppFlowControlMoveForward: one message while probing, a window of messages afterwards, nothing when it is full', () => {
    const raft = small();
    expect(toTwo(raft)).toBe(1);
    for (let i = 0; i < 10; i++) raft.propose(PAYLOAD, 1);
    expect(toTwo(raft)).toBe(0);
    acknowledge(raft, 2, 1);
    expect(toTwo(raft)).toBe(4);
    expect(toTwo(raft)).toBe(0);
    acknowledge(raft, 2, 3);
    expect(toTwo(raft)).toBe(2);
    acknowledge(raft, 2, 2);
    expect(toTwo(raft)).toBe(0);
  });

  test('ProgressFlowControl: bytes limit it too, and one large entry shrinks it to one message', () => {
    const raft = small({ inflightBytesMax: 1_000 });
    drain(raft);
    acknowledge(raft, 2, 1);
    for (let i = 0; i < 4; i++) raft.propose(new Uint8Array(500), 1);
    // 756 bytes each, with what an entry costs beside its payload.
    expect(toTwo(raft)).toBe(2);
    acknowledge(raft, 2, 2);
    expect(toTwo(raft)).toBe(1);
    acknowledge(raft, 2, 5);
    raft.propose(new Uint8Array(9_000), 1);
    raft.propose(PAYLOAD, 1);
    expect(toTwo(raft)).toBe(1);
  });

  test('MsgAppFlowControlRecvHeartbeat: a full window whose acknowledgements were lost is asked about with the heartbeat, once per answer', () => {
    const raft = small();
    drain(raft);
    acknowledge(raft, 2, 1);
    for (let i = 0; i < 10; i++) raft.propose(PAYLOAD, 1);
    drain(raft);
    for (let i = 0; i < 3; i++) {
      answerHeartbeat(raft, 2);
      // Who answers and acknowledges nothing may have a slow disk: entries beyond the window would fill its memory.
      expect(drain(raft)).toMatchObject([{ type: 'append', to: 2, batches: [] }]);
      expect(toTwo(raft)).toBe(0);
    }
  });

  test('MsgAppRespWaitReset: an acknowledgement opens the gate for its sender only', () => {
    const raft = elect(member());
    drain(raft);
    raft.propose(PAYLOAD, 1);
    acknowledge(raft, 2, 1);
    expect(drain(raft).filter((it) => it.type === 'append')).toMatchObject([{ to: 2 }]);
  });

  test('LeaderIncreaseNext: the next entry moves on with what is sent only when the logs are known to agree', () => {
    for (const agree of [false, true]) {
      const raft = elect(member());
      drain(raft);
      const progress = raft.leadership!.progress.get(2)!;
      if (agree) acknowledge(raft, 2, 1);
      raft.propose(PAYLOAD, 3);
      drain(raft);
      expect([progress.mode, progress.next]).toEqual(agree ? ['replicate', 5] : ['probe', 1]);
    }
  });

  test('SendAppendForProgressProbe, ProgressResumeByHeartbeatResp: while probing there is one message per answered heartbeat; sending one is not enough', () => {
    const raft = elect(member());
    expect(toTwo(raft)).toBe(1);
    for (let round = 0; round < 3; round++) {
      raft.propose(PAYLOAD, 1);
      tick(raft, HEARTBEAT);
      expect(toTwo(raft)).toBe(0);
      answerHeartbeat(raft, 2);
      expect(toTwo(raft)).toBe(1);
    }
  });

  test('SendAppendForProgressReplicate: proposals that come together travel together, and each group at once', () => {
    const raft = settled(member());
    for (let round = 0; round < 3; round++) {
      raft.propose(PAYLOAD, 1);
      raft.propose(PAYLOAD, 1);
      expect(drain(raft).filter(to(2, 'append'))).toMatchObject([
        { prevIndex: 2 * round + 1, batches: [{}, {}] },
      ]);
    }
  });

  test('AppendPagination: a message carries as many entries as fit, and at least one', () => {
    const raft = settled(member({ options: { uncommittedBytesMax: 1e6 } }));
    for (const length of [100, 100, 100, 5_000, 100]) raft.propose(new Uint8Array(length), 1);
    // 356 bytes each of the small ones, of 1,000.
    expect(
      drain(raft)
        .filter(to(2, 'append'))
        .map((it) => it.type === 'append' && it.batches.map((batch) => batch.index)),
    ).toEqual([[2, 3], [4], [5], [6]]);
  });

  test('entries that are not in memory are fetched, one request at a time', () => {
    const raft = settled(member({ terms: [1, 1, 1] }));
    refuse(raft, 3, 3);
    raft.leadership!.progress.get(3)!.becomeProbe();
    raft.leadership!.progress.get(3)!.match = 0;
    raft.leadership!.progress.get(3)!.next = 1;
    raft.leadership!.progress.get(3)!.due = true;
    expect(raft.effects().fetches).toEqual([{ to: 3, from: 1, bytesMax: 1_000 }]);
    answerHeartbeat(raft, 3);
    expect(raft.effects().fetches).toEqual([]);
    raft.provide(3, 1, 'later');
    expect(raft.effects().fetches).toEqual([{ to: 3, from: 1, bytesMax: 1_000 }]);
    const batch = { index: 1, term: 1, count: 1, payload: PAYLOAD };
    raft.provide(3, 1, [batch]);
    expect(drain(raft).filter(to(3))).toMatchObject([{ prevIndex: 0, batches: [batch] }]);
    raft.provide(3, 1, [batch]);
    expect(drain(raft)).toEqual([]);
  });

  test('entries that were fetched are not sent when the member has said meanwhile that it needs others', () => {
    const raft = settled(member({ terms: [1, 1, 1] }));
    const progress = raft.leadership!.progress.get(3)!;
    progress.becomeProbe();
    progress.match = 0;
    progress.next = 1;
    progress.due = true;
    expect(raft.effects().fetches).toMatchObject([{ to: 3, from: 1 }]);
    acknowledge(raft, 3, 2);
    raft.provide(3, 1, [{ index: 1, term: 1, count: 1, payload: PAYLOAD }]);
    const { messages, fetches } = raft.effects();
    expect(messages.filter(to(3, 'append'))).toEqual([]);
    expect(fetches).toMatchObject([{ to: 3, from: 3 }]);
  });
});

describe('how much a leader takes', () => {
  test('UncommittedEntryLimit: proposals beyond the limit of uncommitted bytes are refused until some are committed', () => {
    const raft = elect(member({ options: { uncommittedBytesMax: 500 } }));
    drain(raft);
    expect(raft.propose(new Uint8Array(5_000), 1)).toBe(2);
    expect(raft.propose(PAYLOAD, 1)).toBe('full');
    drain(raft);
    acknowledge(raft, 2, 2);
    expect(raft.propose(PAYLOAD, 1)).toBe(3);
  });

  test('UncommittedEntryLimit: all of it can be used again and again', () => {
    const raft = settled(member());
    for (let round = 0; round < 5; round++) {
      let taken = 0;
      while (raft.propose(PAYLOAD, 1) !== 'full') taken++;
      // 270 bytes each, of 4,000; the last one may exceed.
      expect(taken).toBe(15);
      drain(raft);
      acknowledge(raft, 2, raft.log.last);
      drain(raft);
    }
  });

  test('RawNodeBoundedLogGrowthWithPartition: the log of a leader that is cut off stays bounded, and it takes proposals again afterwards', () => {
    const net = Net.of(3, { options: { uncommittedBytesMax: 1_000 } });
    net.campaign(1);
    net.lost = isolated(1);
    net.propose(1, 100);
    expect(net.at(1).log.last).toBe(5);
    net.heal();
    net.tick(net.at(1), HEARTBEAT);
    expect(net.at(1).log.commit).toBe(5);
    expect(net.at(1).propose(PAYLOAD, 1)).toBe(6);
  });
});

describe('messages that are lost', () => {
  test('RecvMsgUnreachable: a lost message makes the leader probe from what is known', () => {
    const raft = elect(member());
    drain(raft);
    acknowledge(raft, 2, 1);
    raft.propose(PAYLOAD, 1);
    drain(raft);
    raft.unreachable(2);
    expect(raft.leadership!.progress.get(2)).toMatchObject({ mode: 'probe', match: 1, next: 2 });
    expect(drain(raft)).toMatchObject([{ type: 'append', to: 2, prevIndex: 1 }]);
    raft.unreachable(2);
    raft.unreachable(9);
    expect(drain(raft)).toEqual([]);
  });

  test('LeaderAppResp: a refusal while sending ahead leads back to probing from what is known', () => {
    const raft = settled(member());
    for (let i = 0; i < 3; i++) raft.propose(PAYLOAD, 1);
    drain(raft);
    refuse(raft, 2, 3, [1, 1]);
    expect(raft.leadership!.progress.get(2)).toMatchObject({ mode: 'probe', match: 1, next: 2 });
    const [message] = drain(raft).filter(to(2));
    expect(message).toMatchObject({ prevIndex: 1, batches: [{ index: 2 }, { index: 3 }, {}] });
  });

  test('replicate_pause: a member that missed a whole window catches up when it answers again', () => {
    const net = Net.of(3, { options: { messageBytesMax: 1 } });
    net.campaign(1);
    net.tickAll(2);
    net.lost = (it) => it.to === 3 && it.type === 'append';
    net.propose(1, 6);
    expect(net.at(3).log.last).toBe(1);
    net.heal();
    net.tick(net.at(1), 2 * HEARTBEAT);
    expect(net.at(3).log).toMatchObject({ last: 7, commit: 7 });
  });

  test('heartbeat_resp_recovers_from_probing: who has all entries does not stay probed', () => {
    const raft = settled(member());
    raft.unreachable(2);
    const progress = raft.leadership!.progress.get(2)!;
    expect(progress.mode).toBe('probe');
    drain(raft);
    answerHeartbeat(raft, 2);
    for (const message of drain(raft)) if (message.type === 'append') acknowledge(raft, 2, 1);
    raft.propose(PAYLOAD, 1);
    drain(raft);
    acknowledge(raft, 2, 2);
    expect(progress.mode).toBe('replicate');
  });
});

describe('Inflights', () => {
  test('Add, FreeTo: everything up to an index goes, and old news frees nothing', () => {
    const inflights = new Inflights(10, Infinity);
    for (let end = 1; end <= 10; end++) inflights.add(end, 100 + end);
    expect([inflights.count, inflights.full]).toEqual([10, true]);
    inflights.freeTo(4);
    expect([inflights.count, inflights.full, inflights.bytes]).toEqual([6, false, 645]);
    inflights.freeTo(3);
    expect(inflights.count).toBe(6);
    for (let end = 11; end <= 14; end++) inflights.add(end, 1);
    inflights.freeTo(12);
    expect([inflights.count, inflights.bytes]).toEqual([2, 2]);
    inflights.freeTo(99);
    expect([inflights.count, inflights.bytes]).toEqual([0, 0]);
  });

  test('Full, Reset: by messages or by bytes; one message may exceed the bytes', () => {
    const inflights = new Inflights(3, 100);
    inflights.add(1, 99);
    expect(inflights.full).toBe(false);
    inflights.add(2, 500);
    expect(inflights.full).toBe(true);
    inflights.freeTo(1);
    expect([inflights.count, inflights.bytes, inflights.full]).toEqual([1, 500, true]);
    inflights.clear();
    expect([inflights.count, inflights.bytes, inflights.full]).toEqual([0, 0, false]);
    for (const end of [3, 4, 5]) inflights.add(end, 1);
    expect(inflights.full).toBe(true);
  });
});

describe('Progress', () => {
  function progress(match: number, next: number): Progress {
    const it = new Progress(next, new Inflights(2, Infinity));
    it.match = match;
    return it;
  }

  test('IsPaused: probing after one message, sending ahead with a full window, waiting for a snapshot always', () => {
    const it = progress(0, 1);
    expect(it.paused).toBe(false);
    it.sent(1, 10);
    expect(it.paused).toBe(true);
    it.becomeReplicate();
    it.sent(1, 10);
    expect(it.paused).toBe(false);
    it.sent(2, 10);
    expect(it.paused).toBe(true);
    it.becomeReplicate();
    expect(it.paused).toBe(false);
    it.becomeSnapshot(5);
    expect(it.paused).toBe(true);
    it.becomeProbe();
    expect(it.paused).toBe(false);
    it.fetching = true;
    expect(it.paused).toBe(true);
  });

  test('BecomeProbe, BecomeReplicate, BecomeSnapshot: where the next entry is', () => {
    const it = progress(1, 5);
    it.becomeReplicate();
    expect([it.mode, it.match, it.next]).toEqual(['replicate', 1, 2]);
    it.sent(4, 10);
    expect(it.next).toBe(5);
    it.becomeProbe();
    expect([it.mode, it.match, it.next, it.inflights.count]).toEqual(['probe', 1, 2, 0]);
    it.becomeSnapshot(10);
    expect([it.mode, it.match, it.snapshotIndex]).toEqual(['snapshot', 1, 10]);
    it.becomeProbe();
    expect([it.mode, it.match, it.next]).toEqual(['probe', 1, 11]);
  });

  test.each([
    [2, false, 3, 5],
    [3, false, 3, 5],
    [4, true, 4, 5],
    [5, true, 5, 6],
    [9, true, 9, 10],
  ])('Update: who has 3 and acknowledges %d', (index, news, match, next) => {
    const it = progress(3, 5);
    expect([it.acknowledged(index), it.match, it.next]).toEqual([news, match, next]);
  });

  test.each([
    // match, next, refused, candidate, news, next then
    ['replicate', 5, 10, 5, 5, false, 10],
    ['replicate', 5, 10, 4, 4, false, 10],
    ['replicate', 5, 10, 9, 9, true, 6],
    ['probe', 0, 0, 0, 0, false, 0],
    ['probe', 0, 10, 5, 5, false, 10],
    ['probe', 0, 10, 9, 9, true, 9],
    ['probe', 0, 2, 1, 1, true, 1],
    ['probe', 0, 1, 0, 0, true, 1],
    ['probe', 0, 10, 9, 2, true, 3],
    ['probe', 0, 10, 9, 0, true, 1],
    ['probe', 4, 10, 9, 1, true, 5],
  ] as const)(
    'MaybeDecr: in %s with match %d and next %d, a refusal of %d with the candidate %d is news: %p, and next is %d',
    (mode, match, next, refused, candidate, news, then) => {
      const it = progress(match, next);
      it.mode = mode;
      it.probing = true;
      expect([it.refused(refused, candidate), it.next]).toEqual([news, then]);
      expect(it.mode === 'probe' && !it.probing).toBe(news);
    },
  );
});
