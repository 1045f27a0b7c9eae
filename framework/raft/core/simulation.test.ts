import { encodeBatch, type Random, VarlogError } from '../../base/index.ts';
import {
  type EntryBatch,
  endOf,
  type HardState,
  type LogShape,
  type Message,
  Raft,
  sliceBatch,
  type Write,
} from './index.ts';

/** Small, seeded, good enough. */
function seeded(seed: number): Random {
  let state = seed >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return { fraction, below: (limit) => Math.floor(fraction() * limit), id: () => `${fraction()}` };
}

/** What is broken on purpose, in every member: shows that the checks would find it. */
type Mutant = (raft: Raft, world: Simulation) => void;

interface StoredMember {
  hardState: HardState;
  base: number;
  snapshot: { index: number; term: number };
  batches: EntryBatch[];
}

class SimulatedMember {
  readonly id: number;
  stored: StoredMember = {
    hardState: { term: 0, vote: 0 },
    base: 0,
    snapshot: { index: 0, term: 0 },
    batches: [],
  };
  raft: Raft | undefined;
  writes: Write[] = [];
  term = 0;
  commit = 0;
  matches = new Map<number, number>();
  leadership: unknown;

  constructor(id: number) {
    this.id = id;
  }

  get storedEnd(): number {
    const last = this.stored.batches.at(-1);
    return last === undefined ? this.stored.base : endOf(last);
  }

  storedTerm(index: number): number | undefined {
    if (index === this.stored.snapshot.index) return this.stored.snapshot.term;
    return this.stored.batches.find((it) => it.index <= index && endOf(it) >= index)?.term;
  }
}

function shapeOf({ stored, storedEnd }: SimulatedMember): LogShape {
  const runs: { index: number; term: number }[] = [];
  for (const { index, term } of stored.batches) {
    if (runs.at(-1)?.term !== term) runs.push({ index: Math.max(index, stored.base + 1), term });
  }
  return {
    baseIndex: stored.base,
    baseTerm: stored.base === stored.snapshot.index ? stored.snapshot.term : undefined,
    runs,
    last: storedEnd,
    snapshotIndex: stored.snapshot.index,
    snapshotTerm: stored.snapshot.term,
  };
}

class Violation extends Error {}

function must(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Violation(rule);
}

/** A group of pure cores, with a network and disks that may do all that is allowed, checked after each event. */
class Simulation {
  readonly random: Random;
  readonly members: SimulatedMember[];
  private readonly mutant: Mutant | undefined;
  private network: Message[] = [];
  private readonly cut = new Set<string>();
  private readonly leaders = new Map<number, number>();
  private readonly votes = new Map<string, number>();
  private readonly entries = new Map<string, string>();
  private readonly committed: number[] = [0];
  private readonly reads = new Map<number, number>();
  private readonly requests = new Map<string, { lastIndex: number; lastTerm: number }>();
  private readonly loss: number;
  private readonly duplication: number;
  private readonly crashes: number;
  private counter = 0;
  confirmedReads = 0;

  constructor(seed: number, mutant?: Mutant) {
    this.random = seeded(seed);
    this.mutant = mutant;
    const size = [3, 3, 5, 2, 4][this.random.below(5)]!;
    this.members = Array.from({ length: size }, (_, i) => new SimulatedMember(i + 1));
    this.loss = this.random.below(2) * 0.15;
    this.duplication = this.random.below(2) * 0.1;
    this.crashes = this.random.below(3);
    for (const member of this.members) this.start(member);
  }

  get commits(): number {
    return this.committed.length - 1;
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) this.event();
  }

  /** From here on nothing fails any more: a leader must be found and commit (R22). */
  heal(): void {
    this.cut.clear();
    for (const member of this.members) if (member.raft === undefined) this.start(member);
    const goal = this.commits + 1;
    for (let round = 0; round < 600; round++) {
      for (const member of this.members) this.tick(member);
      for (let burst = 0; burst < 30; burst++) {
        for (const message of this.network.splice(0)) this.deliver(message);
        for (const member of this.members)
          while (member.writes.length > 0) this.finishWrite(member);
      }
      const leader = this.members.find((it) => it.raft!.role === 'leader');
      if (leader !== undefined && round % 20 === 0) this.propose(leader);
      const all = this.members.every((it) => it.raft!.log.commit >= goal);
      if (all && this.members.every((it) => it.raft!.log.commit === this.commits)) return;
    }
    throw new Violation('R22: a healed group elects, commits and catches up');
  }

  private event(): void {
    const { random } = this;
    const member = this.members[random.below(this.members.length)]!;
    const dice = random.below(1000);
    if (dice < 480) this.deliverAny();
    else if (dice < 620) this.tick(member);
    else if (dice < 800) this.finishWrite(member);
    else if (dice < 890) this.propose(member);
    else if (dice < 950) this.read(member);
    else if (dice < 962) this.compact(member);
    else if (dice < 975) this.toggleCut();
    else if (dice < 978) member.raft?.transferLeadership(1 + random.below(this.members.length));
    else if (dice < 981) member.raft?.unreachable(1 + random.below(this.members.length));
    else if (dice < 985 + this.crashes * 3) this.crash(member);
    else if (member.raft === undefined) this.start(member);
    this.settle(member);
  }

  private start(member: SimulatedMember): void {
    const raft = new Raft(
      {
        id: member.id,
        configuration: { voters: this.members.map((it) => it.id) },
        electionTicks: 8,
        heartbeatTicks: 2,
        messageBytesMax: 600,
        inflightBytesMax: 1_600,
        inflightMessagesMax: 3,
        uncommittedBytesMax: 4_000,
        recentBytesMax: 800,
        random: this.random,
      },
      member.stored.hardState,
      shapeOf(member),
    );
    this.mutant?.(raft, this);
    must(raft.term >= member.stored.hardState.term, 'R8: the term survives a restart');
    member.raft = raft;
    member.writes = [];
    member.term = raft.term;
    member.commit = raft.log.commit;
  }

  private crash(member: SimulatedMember): void {
    if (member.raft === undefined) return;
    // Some of the writes had reached the disk, in their order; nobody was told.
    for (let kept = this.random.below(member.writes.length + 1); kept > 0; kept--) {
      this.store(member, member.writes.shift()!);
    }
    member.raft = undefined;
    member.writes = [];
  }

  private tick(member: SimulatedMember): void {
    member.raft?.tick();
    this.settle(member);
  }

  private propose(member: SimulatedMember): void {
    const count = 1 + this.random.below(3);
    const command = new Uint8Array(8);
    new DataView(command.buffer).setFloat64(0, ++this.counter);
    member.raft?.propose(encodeBatch(Array.from({ length: count }, () => command)).bytes, count);
    this.settle(member);
  }

  private read(member: SimulatedMember): void {
    const context = ++this.counter;
    if (member.raft?.readIndex(context)) this.reads.set(context, this.commits);
  }

  private compact(member: SimulatedMember): void {
    const { raft, stored } = member;
    if (raft === undefined || raft.log.commit <= raft.log.snapshotIndex) return;
    const { log } = raft;
    const index = log.snapshotIndex + 1 + this.random.below(log.commit - log.snapshotIndex);
    if (index > member.storedEnd || member.storedTerm(index) !== log.termAt(index)) return;
    if (member.writes.some((it) => it.snapshot !== undefined)) return;
    const base = Math.max(log.baseIndex, index - this.random.below(4));
    stored.snapshot = { index, term: log.termAt(index)! };
    stored.base = base;
    stored.batches = stored.batches
      .filter((it) => endOf(it) > base)
      .map((it) => sliceBatch(it, base + 1));
    raft.compact(index, base);
  }

  private toggleCut(): void {
    const of = (): number => 1 + this.random.below(this.members.length);
    const choice = this.random.below(8);
    if (choice < 2) this.cut.clear();
    else if (choice < 4) this.isolate(of());
    else this.cut.add(`${of()}>${of()}`);
  }

  private isolate(id: number): void {
    for (const other of this.members) {
      if (other.id !== id) this.cut.add(`${id}>${other.id}`).add(`${other.id}>${id}`);
    }
  }

  private deliverAny(): void {
    if (this.network.length === 0) return;
    // Mostly in order, sometimes not at all.
    const late = this.random.below(4) === 0;
    const at = late ? this.random.below(this.network.length) : 0;
    const message = this.network[at]!;
    if (this.random.fraction() >= this.duplication) this.network.splice(at, 1);
    if (this.random.fraction() < this.loss) return;
    this.deliver(message);
  }

  private deliver(message: Message): void {
    const member = this.members[message.to - 1]!;
    if (member.raft === undefined || this.cut.has(`${message.from}>${message.to}`)) return;
    const { term, vote } = member.raft;
    member.raft.step(message);
    if (message.type === 'vote' && message.pre) {
      const same = member.raft.term === term && member.raft.vote === vote;
      must(same, 'R19: a pre-vote changes nothing');
    }
    this.settle(member);
  }

  private finishWrite(member: SimulatedMember): void {
    const write = member.writes.shift();
    if (write === undefined || member.raft === undefined) return;
    this.store(member, write);
    member.raft.persisted(write.sequence);
    this.settle(member);
  }

  private store(member: SimulatedMember, write: Write): void {
    const { stored } = member;
    if (write.hardState !== undefined) {
      must(write.hardState.term >= stored.hardState.term, 'R8: stored terms do not decrease');
      const { term, vote } = write.hardState;
      const key = `${member.id}@${term}`;
      if (vote !== 0) {
        must((this.votes.get(key) ?? vote) === vote, 'R2: one vote a term');
        this.votes.set(key, vote);
      }
      stored.hardState = write.hardState;
    }
    if (write.snapshot !== undefined) {
      stored.snapshot = write.snapshot;
      stored.base = write.snapshot.index;
      stored.batches = [];
    }
    const { truncateTo } = write;
    if (truncateTo !== undefined) {
      stored.batches = stored.batches.filter((it) => it.index <= truncateTo);
      must(member.storedEnd <= truncateTo, 'batches are cut off whole');
    }
    for (const batch of write.batches) {
      if (endOf(batch) <= stored.base) continue;
      must(batch.index === member.storedEnd + 1, 'batches are stored without a gap');
      stored.batches.push(batch);
    }
  }

  /** Carries out what the member asks for, and checks everything that can be checked now. */
  private settle(member: SimulatedMember): void {
    const { raft } = member;
    if (raft === undefined) return;
    const wasLeader = member.leadership === raft.leadership && raft.leadership !== undefined;
    const effects = raft.effects();
    this.checkRole(member, raft);
    if (effects.write !== undefined) this.checkWrite(member, raft, effects.write, wasLeader);
    this.checkCommit(member, raft);
    for (const message of effects.messages) this.checkMessage(member, raft, message);
    for (const { context, index } of effects.reads) {
      must(index >= this.reads.get(context)!, 'R17: a read sees what was committed before it');
      this.confirmedReads++;
    }
    this.network.push(...effects.messages);
    if (this.network.length > 300) this.network.splice(0, this.network.length - 300);
    for (const { to, from } of effects.fetches) {
      const all = [...member.stored.batches];
      for (const { batches } of member.writes) all.push(...batches);
      const clean = member.writes.every(
        (it) => it.snapshot === undefined && it.truncateTo === undefined,
      );
      const found = all.find((it) => it.index <= from && endOf(it) >= from);
      if (!clean) raft.provide(to, from, 'later');
      else raft.provide(to, from, found === undefined ? [] : [sliceBatch(found, from)]);
    }
    if (effects.fetches.length > 0) this.settle(member);
  }

  private checkRole(member: SimulatedMember, raft: Raft): void {
    must(raft.term >= member.term, 'R8: terms do not decrease');
    member.term = raft.term;
    if (raft.role === 'leader') {
      const known = this.leaders.get(raft.term) ?? raft.id;
      must(known === raft.id, 'R1: a term has one leader');
      if (!this.leaders.has(raft.term)) {
        this.leaders.set(raft.term, raft.id);
        for (let i = raft.log.baseIndex + 1; i <= this.commits; i++) {
          must(raft.log.termAt(i) === this.committed[i], 'R4: a leader has what was committed');
        }
      }
    }
    if (member.leadership !== raft.leadership) {
      member.leadership = raft.leadership;
      member.matches = new Map();
    }
    for (const [id, { match, next, inflights }] of raft.leadership?.progress ?? []) {
      must(match >= (member.matches.get(id) ?? 0), 'R20: match does not decrease');
      must(match < next && inflights.count <= 3, 'R20: match < next, and the window has a limit');
      member.matches.set(id, match);
    }
  }

  private checkWrite(member: SimulatedMember, raft: Raft, write: Write, wasLeader: boolean): void {
    must(!wasLeader || write.truncateTo === undefined, 'R6: a leader only appends');
    if (write.hardState !== undefined && write.hardState.vote !== 0) {
      const { term, vote } = write.hardState;
      const request = this.requests.get(`${vote}@${term}`);
      if (vote !== raft.id && request !== undefined) {
        const { lastTerm, last } = raft.log;
        const enough =
          request.lastTerm > lastTerm ||
          (request.lastTerm === lastTerm && request.lastIndex >= last);
        must(enough, 'R12: votes go to logs that are as complete');
      }
    }
    for (const { index, term, count, payload } of write.batches) {
      for (let i = index; i < index + count; i++) {
        const id =
          payload.length === 0 ? 0 : new DataView(payload.buffer, payload.byteOffset).getFloat64(4);
        const before = i > index ? term : raft.log.termAt(i - 1);
        if (before === undefined) continue;
        const value = `${id} after ${before}`;
        const key = `${i}:${term}`;
        must(
          (this.entries.get(key) ?? value) === value,
          'R3: logs that agree at an entry agree before it',
        );
        this.entries.set(key, value);
      }
    }
    member.writes.push(write);
  }

  private checkCommit(member: SimulatedMember, raft: Raft): void {
    const { log } = raft;
    must(log.commit >= member.commit, 'R8: commit does not decrease');
    must(
      log.commit <= log.last && log.baseIndex <= log.snapshotIndex,
      'R10: commit within the log',
    );
    must(log.snapshotIndex <= log.commit, 'R10: snapshots stand for what is committed');
    if (log.commit > member.commit && raft.role === 'leader') {
      must(log.termAt(log.commit) === raft.term, 'R7: only entries of the own term are counted');
    }
    for (let i = Math.max(member.commit, log.baseIndex) + 1; i <= log.commit; i++) {
      const term = log.termAt(i);
      if (this.committed[i] === undefined) {
        const holders = this.members.filter(
          (it) => it.stored.snapshot.index >= i || it.storedTerm(i) === term,
        );
        must(holders.length > this.members.length / 2, 'R9: committed means durable on a majority');
        this.committed[i] = term!;
      }
      must(this.committed[i] === term, 'R5: all agree on what is committed');
    }
    member.commit = log.commit;
  }

  private checkMessage(member: SimulatedMember, raft: Raft, message: Message): void {
    const { hardState } = member.stored;
    if (message.type === 'vote' && !message.pre) {
      this.requests.set(`${message.from}@${message.term}`, message);
    }
    if (message.type === 'voteResponse' && message.granted && !message.pre) {
      const kept =
        hardState.term > message.term ||
        (hardState.term === message.term && hardState.vote === message.to);
      must(kept, 'R11: a vote leaves when it is durable');
    }
    if (message.type === 'appendResponse' && !message.rejected && message.term === raft.term) {
      must(member.storedEnd >= message.index, 'R11: an acknowledgement leaves when it is durable');
    }
  }
}

const MUTANTS: Record<string, Mutant> = {
  'acknowledges before the disk has it': (raft) => {
    raft.sendDurable = (message) => {
      if (message.to === raft.id)
        raft.step({ term: raft.term, ...message, from: raft.id } as Message);
      else raft.send(message);
    };
  },
  'votes twice': (raft) => {
    raft.mayVoteFor = () => true;
  },
  'votes for shorter logs': (raft) => {
    raft.log.isUpToDate = () => true;
  },
  'commits entries of older terms by counting': (raft, world) => {
    withLeadership(raft, (leadership) => {
      leadership.mayCommit = (index) =>
        raft.log.termAt(index) !== undefined && world.members.length > 0;
    });
  },
  'counts itself before its disk has it': (raft) => {
    const append = raft.append.bind(raft);
    raft.append = (batch) => {
      append(batch);
      raft.leadership?.ownWriteDone(endOf(batch));
    };
  },
  'takes entries that do not follow its own': (raft) => {
    raft.log.matches = (index) => index <= raft.log.last;
  },
  'keeps conflicting entries': (raft) => {
    raft.log.present = (batches) => {
      let known = 0;
      while (known < batches.length && endOf(batches[known]!) <= raft.log.last) known++;
      return known;
    };
  },
  'cuts off what is there already': (raft) => {
    raft.log.present = () => 0;
  },
  'forgets its vote in a restart': (raft) => {
    raft.vote = 0;
  },
  'answers reads without asking a majority': (raft) => {
    withLeadership(raft, (leadership) => {
      leadership.readRounds.begin = function begin(commit) {
        raft.confirmReads(this.drop().map((context) => ({ context, index: commit })));
        return false;
      };
    });
  },
  'answers reads before it committed in its term': (raft) => {
    withLeadership(raft, (leadership) => {
      leadership.mayRead = () => true;
    });
  },
  'passes on a commit index that the other log does not reach': (raft) => {
    const send = raft.send.bind(raft);
    raft.send = (message) =>
      send(message.type === 'heartbeat' ? { ...message, commit: raft.log.commit } : message);
  },
};

function withLeadership(
  raft: Raft,
  change: (leadership: NonNullable<Raft['leadership']>) => void,
): void {
  const become = raft.becomeLeader.bind(raft);
  raft.becomeLeader = () => {
    become();
    change(raft.leadership!);
  };
}

const SEEDS = Number(process.env['RAFT_SEEDS'] ?? 150);

describe('random histories', () => {
  test(`keep every invariant (${SEEDS} seeds)`, () => {
    let commits = 0;
    let reads = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const world = new Simulation(seed);
      try {
        world.run(3_000);
        world.heal();
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).stack}`);
      }
      commits += world.commits;
      reads += world.confirmedReads;
    }
    // Otherwise the histories say nothing.
    expect(commits / SEEDS).toBeGreaterThan(20);
    expect(reads / SEEDS).toBeGreaterThan(1);
  }, 60_000);

  test.each(Object.keys(MUTANTS))(
    'find a member that %s',
    (name) => {
      const found = (): boolean => {
        for (let seed = 1; seed <= 2_000; seed++) {
          const world = new Simulation(seed, MUTANTS[name]);
          try {
            world.run(3_000);
          } catch (error) {
            if (error instanceof Violation || VarlogError.is(error, 'INVARIANT')) return true;
            throw error;
          }
        }
        return false;
      };
      expect(found()).toBe(true);
    },
    60_000,
  );
});
