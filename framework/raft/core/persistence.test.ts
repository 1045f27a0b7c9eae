import { SeededRandom } from '../../testing/index.ts';
import {
  type EntryBatch,
  endOf,
  type Message,
  Persistence,
  type Raft,
  type Write,
} from './index.ts';
import {
  acknowledge,
  campaign,
  elect,
  member,
  Net,
  PAYLOAD,
  settled,
  termsOf,
  vote,
} from './scenario.fixture.ts';

const entry = (index: number, term: number): EntryBatch => ({
  index,
  term,
  count: 1,
  payload: PAYLOAD,
});

/** Entries `from` … `to` of one term. */
const entries = (from: number, to: number, term: number): EntryBatch[] =>
  Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term));

/** Entries from the leader of `term`, after an entry of `prevTerm`. */
function append(raft: Raft, term: number, prevTerm: number, batches: EntryBatch[]): void {
  const prevIndex = batches[0]!.index - 1;
  const message = { type: 'append', from: term, to: raft.id, term, prevIndex, prevTerm } as const;
  raft.step({ ...message, batches, commit: 0 });
}

/** An acknowledgement that waits for the disk. */
const acked = (index: number, to = 1, term = 1): Message => ({
  type: 'appendResponse',
  from: 2,
  to,
  term,
  rejected: false,
  index,
  hintIndex: 0,
  hintTerm: 0,
});

const write = (raft: Raft): Write => raft.effects().write!;

/** The entries of a write, as [index, term]. */
const written = ({ batches }: Write): number[][] => batches.map((it) => [it.index, it.term]);

/** The acknowledgements that leave when writes are durable, as [whom, term, index]. */
function released(raft: Raft, sequence: number): number[][] {
  raft.persisted(sequence);
  return raft
    .effects()
    .messages.map((it) => [it.to, it.term, it.type === 'appendResponse' ? it.index : 0]);
}

describe('what has to be written', () => {
  test('NodeStart, NodeRestart: a member that starts has nothing to write, to send or to commit', () => {
    for (const raft of [
      member(),
      member({ terms: [1, 1, 2], hardState: { term: 5, vote: 2 } }),
      member({ members: 1, terms: [1] }),
    ]) {
      const lists = { messages: [], reads: [], droppedReads: [], fetches: [] };
      const nothing = { ...lists, write: undefined, commitUntold: false };
      expect(raft.effects()).toEqual(nothing);
      expect(raft.log.commit).toBe(0);
    }
  });

  test('NodeRestartFromSnapshot: what the snapshot stands for is committed, and no more', () => {
    const shape = { baseIndex: 2, baseTerm: 1, snapshotIndex: 2, snapshotTerm: 1 };
    const raft = member({ shape: { ...shape, runs: [{ index: 3, term: 1 }], last: 4 } });
    expect([raft.log.commit, raft.log.last, raft.effects().write]).toEqual([2, 4, undefined]);
  });

  test('NodeRestart: a vote counts only for the term in which it was given', () => {
    expect(member({ hardState: { term: 2, vote: 3 }, terms: [1, 2] })).toMatchObject({
      term: 2,
      vote: 3,
    });
    // The log is of a later term: that was entered, and nothing is known of a vote in it.
    expect(member({ hardState: { term: 2, vote: 3 }, terms: [1, 4] })).toMatchObject({
      term: 4,
      vote: 0,
    });
  });

  test('NextUnstableEnts, UnstableInProgress: entries are handed out for writing once, also while that is under way', () => {
    const raft = settled(member());
    raft.propose(PAYLOAD, 1);
    raft.propose(PAYLOAD, 1);
    const first = write(raft);
    expect(written(first)).toEqual([
      [2, 1],
      [3, 1],
    ]);
    expect(raft.effects().write).toBeUndefined();
    raft.propose(PAYLOAD, 1);
    const second = write(raft);
    expect(written(second)).toEqual([[4, 1]]);
    expect(second.sequence).toBe(first.sequence + 1);
    raft.persisted(first.sequence);
    expect(raft.effects().write).toBeUndefined();
    raft.persisted(second.sequence);
    expect(raft.effects().write).toBeUndefined();
  });

  test('NodeAdvance, RawNodeConsumeReady: messages are handed out once', () => {
    const raft = settled(member());
    raft.propose(PAYLOAD, 1);
    expect(raft.effects().messages).toHaveLength(2);
    expect(raft.effects().messages).toEqual([]);
  });

  test('UnstableTruncateAndAppend: what is replaced before it was handed out is never written', () => {
    const raft = member({ id: 9, members: 9, terms: [1] });
    append(raft, 2, 1, entries(2, 4, 2));
    append(raft, 3, 2, entries(3, 5, 3));
    const { truncateTo, batches, hardState } = write(raft);
    expect(batches.map((it) => [it.index, it.term])).toEqual([
      [2, 2],
      [3, 3],
      [4, 3],
      [5, 3],
    ]);
    expect([truncateTo, hardState]).toEqual([undefined, { term: 3, vote: 0 }]);
  });

  test('UnstableTruncateAndAppend: what is replaced afterwards is cut off on the disk, as far as any leader said', () => {
    const raft = member({ id: 9, members: 9, terms: [1, 1, 1, 1] });
    append(raft, 2, 1, entries(4, 5, 2));
    append(raft, 3, 1, entries(3, 3, 3));
    expect(write(raft)).toMatchObject({ truncateTo: 2, batches: [{ index: 3, term: 3 }] });
    append(raft, 4, 1, entries(3, 4, 4));
    expect(write(raft)).toMatchObject({ truncateTo: 2, batches: [{ index: 3 }, { index: 4 }] });
  });

  test('UnstableRestore: a snapshot from elsewhere replaces what was to be written', () => {
    const persistence = new Persistence();
    persistence.truncate(3);
    for (const batch of entries(4, 6, 2)) persistence.append(batch, 2);
    persistence.snapshot(9, 3);
    persistence.append(entry(10, 3), 3);
    persistence.hardState({ term: 3, vote: 0 });
    persistence.hardState({ term: 3, vote: 5 });
    expect(persistence.take()).toMatchObject({
      hardState: { term: 3, vote: 5 },
      snapshot: { index: 9, term: 3 },
      truncateTo: undefined,
      batches: [entry(10, 3)],
    });
    expect(persistence.take()).toBeUndefined();
  });

  test('whatever leaders say, the disk has after each write what the log had', () => {
    const random = new SeededRandom('persistence');
    for (let round = 0; round < 100; round++) {
      const raft = member({ id: 99, members: 99 });
      let disk: EntryBatch[] = [];
      let term = 1;
      for (let step = 0; step < 40; step++) {
        if (random.below(3) === 0) term++;
        const prev = raft.log.lastTerm === term ? raft.log.last : random.below(raft.log.last + 1);
        append(
          raft,
          term,
          raft.log.termAt(prev)!,
          entries(prev + 1, prev + 1 + random.below(3), term),
        );
        if (random.below(3) > 0) continue;
        const { truncateTo, batches, sequence } = write(raft);
        if (truncateTo !== undefined) disk = disk.filter((it) => endOf(it) <= truncateTo);
        for (const batch of batches) {
          expect(batch.index).toBe(disk.length + 1);
          disk.push(batch);
        }
        expect(disk.map((it) => it.term)).toEqual(termsOf(raft));
        if (random.below(2) === 0) raft.persisted(sequence);
      }
    }
  });
});

describe('what waits for a write', () => {
  test('StableTo: a message waits for everything that changed before it; without any it leaves at once', () => {
    const persistence = new Persistence();
    expect(persistence.deferUntilDurable(acked(1))).toBe(false);
    persistence.append(entry(1, 1), 1);
    expect(persistence.deferUntilDurable(acked(1, 1))).toBe(true);
    const first = persistence.take()!;
    // It may promise what is under way.
    expect(persistence.deferUntilDurable(acked(1, 3))).toBe(true);
    persistence.append(entry(2, 1), 1);
    expect(persistence.deferUntilDurable(acked(2, 1))).toBe(true);
    const second = persistence.take()!;
    expect(persistence.deferUntilDurable(acked(2, 3))).toBe(true);
    expect(persistence.done(first.sequence)).toMatchObject([
      { last: 1, messages: [acked(1, 1), acked(1, 3)] },
    ]);
    expect(persistence.done(first.sequence)).toEqual([]);
    expect(persistence.done(second.sequence)).toMatchObject([
      { last: 2, messages: [acked(2), acked(2, 3)] },
    ]);
    expect(persistence.deferUntilDurable(acked(2))).toBe(false);
  });

  test('StableTo: writes that end together are finished in their order', () => {
    const persistence = new Persistence();
    const sequences = entries(1, 3, 1).map((batch) => {
      persistence.append(batch, 1);
      persistence.deferUntilDurable(acked(batch.index));
      return persistence.take()!.sequence;
    });
    expect(persistence.done(sequences[1]!).map((it) => it.last)).toEqual([1, 2]);
    expect(persistence.done(sequences[2]!).map((it) => it.last)).toEqual([3]);
  });

  test('one acknowledgement speaks for those before it, to the same leader in the same term', () => {
    const persistence = new Persistence();
    persistence.append(entry(1, 1), 1);
    const refusal = { ...acked(4), rejected: true } as Message;
    const all = [acked(1), acked(2), acked(1), acked(3, 4), acked(3, 4, 2), refusal, acked(5)];
    for (const message of all) persistence.deferUntilDurable(message);
    const { sequence } = persistence.take()!;
    expect(persistence.done(sequence)[0]!.messages).toEqual(all.slice(1));
  });

  test('async_storage_writes: a follower acknowledges each write when it is durable, and not those behind it', () => {
    const raft = member({ id: 9, members: 9, terms: [1] });
    const writes = [2, 3, 4].map((index) => {
      append(raft, 1, 1, entries(index, index, 1));
      return write(raft);
    });
    expect(writes.map(written)).toEqual([[[2, 1]], [[3, 1]], [[4, 1]]]);
    expect(released(raft, writes[0]!.sequence)).toEqual([[1, 1, 2]]);
    expect(released(raft, writes[2]!.sequence)).toEqual([
      [1, 1, 3],
      [1, 1, 4],
    ]);
  });

  test('async_storage_writes: what comes twice is acknowledged when it is durable', () => {
    const raft = member({ id: 9, members: 9, terms: [1] });
    append(raft, 1, 1, entries(2, 2, 1));
    const { sequence } = write(raft);
    append(raft, 1, 1, entries(2, 2, 1));
    expect(raft.effects()).toMatchObject({ messages: [], write: undefined });
    expect(released(raft, sequence)).toEqual([[1, 1, 2]]);
    append(raft, 1, 1, entries(2, 2, 1));
    expect(raft.effects()).toMatchObject({ messages: [{ index: 2 }], write: undefined });
  });

  test('async_storage_writes: a vote waits for the entries that the decision rests on', () => {
    const raft = member({ id: 9, members: 9, terms: [1] });
    append(raft, 1, 1, entries(2, 2, 1));
    const entriesFirst = write(raft);
    const ask = { type: 'vote', from: 2, to: 9, term: 2, pre: false, transfer: true } as const;
    raft.step({ ...ask, lastIndex: 2, lastTerm: 1 });
    const voteThen = write(raft);
    expect([voteThen.hardState, voteThen.batches]).toEqual([{ term: 2, vote: 2 }, []]);
    expect(released(raft, entriesFirst.sequence)).toEqual([[1, 1, 2]]);
    raft.persisted(voteThen.sequence);
    expect(raft.effects().messages).toMatchObject([{ type: 'voteResponse', to: 2, granted: true }]);
  });

  test('async_storage_writes: a leader sends at once and counts itself write by write', () => {
    const raft = settled(member());
    const writes = [2, 3, 4].map((index) => {
      raft.propose(PAYLOAD, 1);
      const { messages, write } = raft.effects();
      expect(messages).toMatchObject([
        { type: 'append', to: 2, batches: [{ index }] },
        { type: 'append', to: 3, batches: [{ index }] },
      ]);
      return write!;
    });
    acknowledge(raft, 2, 4);
    expect(raft.log.commit).toBe(1);
    raft.persisted(writes[0]!.sequence);
    expect(raft.log.commit).toBe(2);
    raft.persisted(writes[2]!.sequence);
    expect(raft.log.commit).toBe(4);
  });

  test('async_storage_writes: a candidate does not ask before its own vote is durable, behind everything else', () => {
    const raft = member({ id: 9, members: 9, terms: [1] });
    append(raft, 1, 1, entries(2, 2, 1));
    const first = write(raft);
    campaign(raft);
    const second = write(raft);
    raft.persisted(first.sequence);
    expect(raft.effects().messages.map((it) => it.type)).toEqual(['appendResponse']);
    raft.persisted(second.sequence);
    const { messages } = raft.effects();
    expect(messages).toHaveLength(8);
    expect(messages.every((it) => it.type === 'vote' && it.lastIndex === 2)).toBe(true);
  });
});

describe('async_storage_writes_append_aba_race', () => {
  test('a follower whose entries are replaced twice while they are written promises each leader only its own ones', () => {
    const raft = member({ id: 9, members: 9, terms: [1] });
    append(raft, 2, 1, entries(2, 4, 2));
    const a = write(raft);
    append(raft, 3, 1, entries(2, 2, 3));
    const b = write(raft);
    append(raft, 4, 1, entries(2, 4, 4));
    const again = write(raft);
    expect([b, again]).toMatchObject([{ truncateTo: 1 }, { truncateTo: 1 }]);
    expect(written(again)).toEqual([
      [2, 4],
      [3, 4],
      [4, 4],
    ]);
    expect(released(raft, a.sequence)).toEqual([[2, 2, 4]]);
    // The same indexes as in the first write: they are not durable with it.
    expect(released(raft, b.sequence)).toEqual([[3, 3, 2]]);
    expect(released(raft, again.sequence)).toEqual([[4, 4, 4]]);
    expect(termsOf(raft)).toEqual([1, 4, 4, 4]);
  });

  test('a leader whose entries of an earlier term are still written does not count them as those of now', () => {
    const raft = settled(member());
    for (let i = 0; i < 3; i++) raft.propose(PAYLOAD, 1);
    const early = write(raft);
    // Another leader replaces the entries, and this member leads again before its disk is done.
    append(raft, 2, 1, entries(2, 2, 2));
    const replaced = write(raft);
    campaign(raft);
    const asked = write(raft);
    expect(raft.term).toBe(3);
    for (const from of [2, 3]) vote(raft, from);
    raft.propose(PAYLOAD, 1);
    const late = write(raft);
    expect(written(late)).toEqual([
      [3, 3],
      [4, 3],
    ]);
    expect(early.batches.at(-1)!.index).toBe(4);
    acknowledge(raft, 2, 4);
    for (const { sequence } of [early, replaced, asked]) {
      raft.persisted(sequence);
      expect([raft.role, raft.log.commit]).toEqual(['leader', 1]);
    }
    raft.persisted(late.sequence);
    expect(raft.log.commit).toBe(4);
  });

  test('what a deposed leader wrote late is acknowledged to nobody', () => {
    const raft = elect(member());
    raft.propose(PAYLOAD, 1);
    const { sequence } = write(raft);
    raft.becomeFollower(raft.term + 1, 3);
    raft.persisted(sequence);
    expect([raft.effects().messages, raft.log.commit]).toEqual([[], 0]);
  });

  test('a member that crashes in between begins again with what was durable, and catches up', () => {
    const net = Net.of(3);
    net.campaign(1);
    net.tickAll(2);
    const three = net.at(3);
    // Written, and lost with the crash.
    append(three, 1, 1, entries(2, 3, 1));
    expect(write(three).batches).toHaveLength(2);
    expect(net.restart(3).log.last).toBe(1);
    net.propose(1, 3);
    net.tickAll(4);
    expect(net.rafts.map((it) => [it.log.last, it.log.commit])).toEqual([
      [4, 4],
      [4, 4],
      [4, 4],
    ]);
  });
});
