import { encodeBatch, type Random } from '../../base/index.ts';
import {
  type Configuration,
  decodeConfiguration,
  type EntryBatch,
  endOf,
  type HardState,
  isConfigurationEntry,
  type LogShape,
  type MemberChange,
  type Message,
  type PlacedConfiguration,
  Raft,
  type RaftOptions,
  sliceBatch,
} from './index.ts';

/** One command of ten bytes, framed. */
export const { bytes: PAYLOAD } = encodeBatch([new Uint8Array(10)]);
export const ELECTION = 10;
export const HEARTBEAT = 2;

/** Members time out in the order of their ids, unless a test says otherwise. */
export const fixed = (value: number): Random => ({
  below: () => value,
  fraction: () => 0,
  id: () => '',
});

/** A log of one entry per term given, from index 1 on. */
export function logOf(terms: readonly number[]): EntryBatch[] {
  return terms.map((term, i) => ({ index: i + 1, term, count: 1, payload: PAYLOAD }));
}

/** The term of every entry that is still in the log. */
export function termsOf({ log }: Raft): (number | undefined)[] {
  return Array.from({ length: log.last - log.baseIndex }, (_, i) =>
    log.termAt(log.baseIndex + i + 1),
  );
}

export function configurationOf(part: Partial<Configuration>): Configuration {
  const blank = { voters: [], outgoing: [], learners: [] };
  return {
    ...blank,
    identity: '',
    addresses: new Map(),
    incarnations: new Map(),
    retired: [],
    ...part,
  };
}

/** What `changeMembers` takes. */
export function changeTo(
  voters: readonly number[],
  learners: readonly number[] = [],
): MemberChange {
  return { voters, learners, addresses: new Map(), incarnations: new Map() };
}

export function votersUpTo(size: number): Configuration {
  return configurationOf({ voters: Array.from({ length: size }, (_, i) => i + 1) });
}

export interface Given {
  id?: number;
  /** Voters 1 … members, unless a configuration is given. */
  members?: number;
  configuration?: Configuration;
  terms?: readonly number[];
  hardState?: HardState;
  options?: Partial<RaftOptions>;
  shape?: Partial<LogShape>;
}

export function member({
  id = 1,
  members = 3,
  configuration = votersUpTo(members),
  terms = [],
  hardState = { term: terms.at(-1) ?? 0, vote: 0 },
  options,
  shape,
}: Given = {}): Raft {
  return new Raft(
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
    hardState,
    {
      baseIndex: 0,
      baseTerm: 0,
      runs: logOf(terms).filter((it, i, all) => all[i - 1]?.term !== it.term),
      last: terms.length,
      snapshotIndex: 0,
      snapshotTerm: 0,
      configurations: [{ index: 0, configuration }],
      ...shape,
    },
  );
}

/** Carries out writes at once, and returns all messages that leave. */
export function drain(raft: Raft): Message[] {
  const sent: Message[] = [];
  for (;;) {
    const { messages, write } = raft.effects();
    sent.push(...messages);
    if (write === undefined) {
      if (messages.length === 0) return sent;
    } else raft.persisted(write.sequence);
  }
}

export function tick(raft: Raft, times: number): void {
  for (let i = 0; i < times; i++) raft.tick();
}

/** Makes a follower a candidate of the next term, without asking around first. */
export function campaign(raft: Raft): Raft {
  raft.step({ type: 'timeoutNow', from: 2, to: raft.id, term: raft.term });
  return raft;
}

/** A leader that all voters elected; its own writes up to the votes are durable. */
export function elect(raft: Raft): Raft {
  campaign(raft);
  drain(raft);
  const { voters, outgoing } = raft.configuration;
  for (const from of new Set([...voters, ...outgoing])) if (from !== raft.id) vote(raft, from);
  return raft;
}

/** A leader whose first entry is committed, and that knows where all others stand. */
export function settled(raft: Raft): Raft {
  elect(raft);
  drain(raft);
  for (const [id] of raft.leadership!.progress) {
    if (id !== raft.id) acknowledge(raft, id, raft.log.last);
  }
  drain(raft);
  return raft;
}

export function vote(raft: Raft, from: number, granted = true): void {
  raft.step({ type: 'voteResponse', from, to: raft.id, term: raft.term, pre: false, granted });
}

/** Answers a pre-vote; granted answers carry the next term. */
export function preVote(raft: Raft, from: number, granted = true): void {
  const term = granted ? raft.term + 1 : raft.term;
  raft.step({ type: 'voteResponse', from, to: raft.id, term, pre: true, granted });
}

/** Ticks until the member campaigns. */
export function timeOut(raft: Raft): Raft {
  for (let i = 0; i < 2 * ELECTION; i++) if (raft.tick()) break;
  return raft;
}

export function acknowledge(raft: Raft, from: number, index: number): void {
  const blank = { type: 'appendResponse', to: raft.id, term: raft.term } as const;
  raft.step({ ...blank, from, rejected: false, index, hintIndex: 0, hintTerm: 0 });
}

export function refuse(raft: Raft, from: number, index: number, hint = [0, 0]): void {
  const blank = { type: 'appendResponse', to: raft.id, term: raft.term } as const;
  const [hintIndex = 0, hintTerm = 0] = hint;
  raft.step({ ...blank, from, rejected: true, index, hintIndex, hintTerm });
}

export function answerHeartbeat(raft: Raft, from: number, round = 0): void {
  const promises = raft.options.leaseMs !== undefined;
  raft.step({ type: 'heartbeatResponse', from, to: raft.id, term: raft.term, round, promises });
}

/** What goes to one member. */
export const to =
  (id: number, type?: Message['type']) =>
  (message: Message): boolean =>
    message.to === id && (type === undefined || message.type === type);

export const isolated =
  (...ids: number[]) =>
  (message: Message): boolean =>
    ids.includes(message.from) || ids.includes(message.to);

/** The link between two members does not work. */
export const cut =
  (one: number, other: number) =>
  ({ from, to }: Message): boolean =>
    (from === one && to === other) || (from === other && to === one);

/** What a member finds again when it is restarted. */
interface Stored {
  given: Given;
  hardState: HardState;
  batches: EntryBatch[];
  snapshot: { index: number; term: number; configuration: Configuration };
}

/** Members that hear each other; `lost` takes messages away. */
export class Net {
  readonly rafts: Raft[];
  readonly disk = new Map<number, Stored>();
  lost: (message: Message) => boolean = () => false;

  /** `logs` are what the members are given; payloads that are not in memory come from there. */
  constructor(members: readonly Given[]) {
    this.rafts = members.map((it) => member(it));
    for (const [i, given] of members.entries()) {
      const raft = this.rafts[i]!;
      this.disk.set(raft.id, {
        given,
        hardState: { term: raft.term, vote: raft.vote },
        batches: logOf(given.terms ?? []),
        snapshot: { index: 0, term: 0, configuration: raft.configuration },
      });
    }
  }

  /** Voters 1 … `size`. */
  static of(size: number, given: Given = {}, logs: readonly (readonly number[])[] = []): Net {
    return new Net(
      Array.from({ length: size }, (_, i) => {
        const terms = logs[i] === undefined ? {} : { terms: logs[i] };
        return { id: i + 1, members: size, ...terms, ...given };
      }),
    );
  }

  at(id: number): Raft {
    return this.rafts.find((it) => it.id === id)!;
  }

  get leaders(): number[] {
    return this.rafts.filter((it) => it.role === 'leader').map((it) => it.id);
  }

  heal(): void {
    this.lost = () => false;
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

  tickAll(times = 1): void {
    for (let i = 0; i < times; i++) for (const raft of this.rafts) this.tick(raft);
  }

  /** A follower campaigns at once, as if its leader had told it to. */
  campaign(id: number): Raft {
    campaign(this.at(id));
    this.settle();
    return this.at(id);
  }

  propose(id: number, times = 1): void {
    for (let i = 0; i < times; i++) {
      this.at(id).propose(PAYLOAD, 1);
      this.settle();
    }
  }

  /** The state up to the commit index is in a snapshot, and the entries are gone. */
  compact(id: number): void {
    const { log } = this.at(id);
    const stored = this.disk.get(id)!;
    const configuration = log.configurationAt(log.commit);
    stored.snapshot = { index: log.commit, term: log.termAt(log.commit)!, configuration };
    stored.batches = stored.batches.filter((it) => endOf(it) > log.commit);
    this.at(id).compact(log.commit, log.commit);
  }

  /** A member begins again with what its disk has. */
  restart(id: number): Raft {
    const { given, hardState, batches, snapshot } = this.disk.get(id)!;
    const { index, term, configuration } = snapshot;
    const later: PlacedConfiguration[] = batches
      .filter(isConfigurationEntry)
      .map((it) => ({ index: it.index, configuration: decodeConfiguration(it.payload) }));
    const raft = member({
      ...given,
      hardState,
      shape: {
        baseIndex: index,
        baseTerm: term,
        runs: batches.filter((it, i) => it.term !== (batches[i - 1]?.term ?? term)),
        last: batches.length === 0 ? index : endOf(batches.at(-1)!),
        snapshotIndex: index,
        snapshotTerm: term,
        configurations: [{ index, configuration }, ...later],
      },
    });
    this.rafts[this.rafts.findIndex((it) => it.id === id)] = raft;
    return raft;
  }

  private carryOut(raft: Raft): boolean {
    const { messages, write, fetches } = raft.effects();
    const stored = this.disk.get(raft.id)!;
    if (write !== undefined) {
      const { hardState, snapshot, truncateTo, sequence, batches } = write;
      if (hardState !== undefined) stored.hardState = hardState;
      if (snapshot !== undefined) {
        stored.snapshot = { ...snapshot, configuration: raft.log.configurationAt(snapshot.index) };
        stored.batches = [];
      }
      if (truncateTo !== undefined)
        stored.batches = stored.batches.filter((it) => endOf(it) <= truncateTo);
      stored.batches.push(...batches);
      raft.persisted(sequence);
    }
    for (const message of messages) {
      if (!this.lost(message)) this.rafts.find((it) => it.id === message.to)?.step(message);
    }
    for (const { to, from } of fetches) {
      const batch = stored.batches.find((it) => endOf(it) >= from && it.index <= from);
      raft.provide(to, from, batch === undefined ? [] : [sliceBatch(batch, from)]);
    }
    return messages.length > 0 || write !== undefined || fetches.length > 0;
  }
}
