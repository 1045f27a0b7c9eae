import { encodeBatch, type Random, VarlogError } from '../../framework/base/index.ts';
import {
  type Configuration,
  isVoter,
  type Message,
  membersOf,
  Raft,
  type Write,
} from '../../framework/raft/core/index.ts';
import { leaseMsOf } from '../../framework/raft/timing.ts';
import { type RunReport, SeededRandom } from '../../framework/testing/index.ts';
import { SimulatedMember } from './raft-member.ts';
import { RaftObserver } from './raft-observer.ts';
import { must, Violation } from './violation.ts';

/** What is broken on purpose, in every member: shows that the checks would find it. */
export type Mutant = (raft: Raft, walk: RaftWalk) => void;

export const TICK_MS = 10;
const UNCOMMITTED_BYTES_MAX = 4_000;
const MEMBERS_MAX = 8;
const PACKETS_MAX = 400;

/** What may happen in one walk, and how often: about half of it is off (swarm testing, Groce 2012). */
export interface Climate {
  readonly loss: number;
  readonly duplication: number;
  readonly late: number;
  readonly disorder: number;
  readonly crashes: number;
  readonly pauses: number;
  readonly partitions: number;
  readonly changes: number;
  readonly transfers: number;
  readonly compactions: number;
  readonly slowDisks: boolean;
  readonly drift: number;
  readonly leases: boolean;
  /** With leases: a member that has none, and promises nothing; 0 for nobody. */
  readonly unleased: number;
  /** Ticks of an election timeout: the fewer, the more one of them matters that is short. */
  readonly electionTicks: number;
  /** How often something arrives from another group, whose members have the same ids and listen where ours did. */
  readonly foreigners: number;
  /** How much happens between two ticks. */
  readonly msPerEvent: number;
  /** So much of the log travels in one message: with little, a member knows only of a part where it agrees. */
  readonly messageBytesMax: number;
  /** Whether members take several messages, or finished writes, before what they ask for is carried out. */
  readonly turns: boolean;
}

function sampleClimate(random: Random, seed: number): Climate {
  const some = (value: number): number => (random.below(2) === 0 ? 0 : value * random.fraction());
  const leases = random.below(3) === 0;
  return {
    loss: some(0.25),
    duplication: some(0.2),
    late: some(0.1),
    disorder: some(0.5),
    crashes: some(12),
    pauses: some(8),
    partitions: some(15),
    changes: some(15),
    transfers: some(15),
    compactions: some(20),
    slowDisks: random.below(2) === 0,
    // Leases rely on clocks that differ by less than a tenth; nothing else relies on clocks at all.
    drift: leases ? 0.04 : some(0.8),
    leases,
    electionTicks: [8, 8, 4, 2][random.below(4)]!,
    foreigners: random.below(6) === 0 ? 40 * random.fraction() : 0,
    msPerEvent: [1, 1, 0.3][random.below(3)]!,
    unleased: [0, 0, 1, 2][random.below(4)]!,
    messageBytesMax: seed % 4 === 0 ? 1 : 600,
    turns: seed % 3 === 0,
  };
}

/** A message on its way, with what its sender says of itself. */
interface Packet {
  readonly message: Message;
  readonly identity: string;
  readonly disk: string;
}

/**
 * A random walk of a group of pure cores, through a network and disks that may do all that is allowed,
 * with members that come and go; checked by {@link RaftObserver} after each event. The same seed walks
 * the same way.
 */
export class RaftWalk {
  readonly random: Random;
  readonly observer: RaftObserver;
  readonly members = new Map<number, SimulatedMember>();
  readonly climate: Climate;
  readonly probes: Set<string>;
  /** Virtual time. */
  nowMs = 0;
  private readonly mutant: Mutant | undefined;
  private readonly initial: Configuration;
  private network: Packet[] = [];
  private late: Packet[] = [];
  /** Another group, for walks with foreigners. */
  private readonly other: RaftWalk | undefined;
  private readonly name: string;
  private readonly cut = new Set<string>();
  private counter = 0;
  private trace = 2_166_136_261;

  constructor(
    seed: number,
    options: {
      probes?: Set<string>;
      mutant?: Mutant;
      climate?: Partial<Climate>;
      name?: string;
    } = {},
  ) {
    this.random = new SeededRandom(seed);
    this.mutant = options.mutant;
    this.name = options.name ?? 'a';
    this.probes = options.probes ?? new Set();
    this.observer = new RaftObserver(this.probes, UNCOMMITTED_BYTES_MAX);
    this.climate = { ...sampleClimate(this.random, seed), ...options.climate };
    const size = [1, 2, 3, 3, 3, 4, 5, 5][this.random.below(8)]!;
    const voters = Array.from({ length: size }, (_, i) => i + 1);
    this.initial = {
      voters,
      identity: '',
      retired: [],
      outgoing: [],
      learners: [],
      addresses: new Map(),
      // A group begins when all have met.
      incarnations: new Map(voters.map((id) => [id, this.diskOf(id)])),
    };
    for (const id of voters) this.start(this.member(id, this.initial));
    if (this.climate.foreigners > 0 && this.name === 'a') {
      this.other = new RaftWalk(seed + 1_000_000, { climate: { foreigners: 0 }, name: 'b' });
      this.other.run(this.random.below(600));
    }
  }

  /** Hash of everything that was sent, in order. */
  get traceHash(): string {
    return (this.trace >>> 0).toString(16);
  }

  run(events: number): void {
    for (let i = 0; i < events; i++) {
      this.nowMs += this.random.below(3) * this.climate.msPerEvent;
      this.tickDue();
      this.event();
      this.other?.run(this.random.below(2));
    }
  }

  /** From here on nothing fails any more: a leader must be found, commit, and bring all up to date (R22). */
  heal(): void {
    this.cut.clear();
    for (const member of this.members.values()) {
      member.paused = false;
      member.slowDisk = false;
      if (member.raft === undefined) this.start(member);
    }
    const goal = this.observer.commits + 1;
    for (let round = 0; round < 1_500; round++) {
      this.nowMs += TICK_MS;
      this.tickDue();
      for (let burst = 0; burst < 30; burst++) {
        for (const packet of this.network.splice(0)) this.deliver(packet);
        for (const member of this.members.values()) {
          while (member.writes.length > 0) this.finishWrite(member);
        }
      }
      const leader = this.leader();
      if (leader !== undefined && round % 20 === 0) this.propose(leader);
      if (this.observer.commits >= goal && this.allCaughtUp()) return;
    }
    throw new Violation('R22: a healed group elects, commits and catches up');
  }

  private allCaughtUp(): boolean {
    const raft = this.leader()?.raft;
    if (raft === undefined || raft.configuration.outgoing.length > 0) return false;
    return [...membersOf(raft.configuration)].every(
      (id) => this.members.get(id)?.raft?.log.commit === this.observer.commits,
    );
  }

  private leader(): SimulatedMember | undefined {
    const leaders = [...this.members.values()].filter((it) => it.raft?.role === 'leader');
    return leaders.sort((a, b) => b.raft!.term - a.raft!.term)[0];
  }

  private event(): void {
    const { random, climate } = this;
    const member = this.pick([...this.members.values()]);
    let dice = random.below(1_000);
    const falls = (share: number): boolean => {
      dice -= share;
      return dice < 0;
    };
    if (falls(500)) this.deliverAny();
    else if (falls(240)) this.finishSlowly(member);
    else if (falls(90)) this.propose(member);
    else if (falls(50)) this.read(member);
    else if (falls(climate.foreigners)) this.hearForeigner();
    else if (falls(climate.compactions)) this.compact(member);
    else if (falls(climate.partitions)) this.partition();
    else if (falls(climate.changes)) this.changeMembers(member);
    else if (falls(climate.transfers)) this.handOver(member);
    else if (falls(climate.pauses)) this.pauseOrResume(member);
    else if (falls(climate.crashes / 3)) this.crash(member);
    else if (falls(10)) this.breakConnection(member);
    else if (falls(15) && member.raft === undefined) this.start(member);
    this.settle(member);
  }

  private member(id: number, initial: Configuration): SimulatedMember {
    const member = new SimulatedMember(id, initial);
    member.clockRate = 1 + (this.random.fraction() * 2 - 1) * this.climate.drift;
    this.members.set(id, member);
    return member;
  }

  private start(member: SimulatedMember): void {
    const { slowDisks, electionTicks, unleased, messageBytesMax } = this.climate;
    const leases = this.climate.leases && member.id !== unleased;
    const raft = new Raft(
      {
        id: member.id,
        electionTicks,
        heartbeatTicks: Math.max(1, electionTicks >> 2),
        messageBytesMax,
        inflightBytesMax: 1_600,
        inflightMessagesMax: 3,
        uncommittedBytesMax: UNCOMMITTED_BYTES_MAX,
        recentBytesMax: 800,
        leaseMs: leases ? leaseMsOf(electionTicks, TICK_MS, 0) : undefined,
        random: this.random,
      },
      member.hardState,
      member.shape,
    );
    if (member.identity !== '') raft.log.identity = member.identity;
    this.mutant?.(raft, this);
    // Until it knows that its disk is the one which the group knows.
    raft.disqualified = raft.log.configurationIndex > 0;
    member.raft = raft;
    member.nextTickAt = this.nowMs + TICK_MS;
    member.slowDisk = slowDisks && this.random.below(4) === 0;
    this.observer.started(member, raft);
  }

  private crash(member: SimulatedMember): void {
    if (member.raft === undefined) return;
    this.probes.add('crash');
    member.crash(this.random);
    this.observer.stored(member);
    if (this.chance(0.4)) this.start(member);
  }

  private breakConnection({ raft }: SimulatedMember): void {
    const other = this.pick([...this.members.keys()]);
    if (this.chance(0.5)) raft?.unreachable(other);
    else raft?.disconnected(other);
  }

  private pauseOrResume(member: SimulatedMember): void {
    member.paused = !member.paused;
    if (member.raft?.role === 'leader') this.probes.add('paused leader');
  }

  private handOver({ raft }: SimulatedMember): void {
    const others = [...this.members.keys()];
    if (!raft?.transferLeadership(this.pick(others))) return;
    this.probes.add('transfer');
    // It may be the last that the others hear of it, or that it hears of them.
    if (this.chance(0.3)) for (const it of others) this.cut.add(`${it}>${raft.id}`);
  }

  /** Timers: of a process that slept they fire once, when it wakes. */
  private tickDue(): void {
    for (const member of this.members.values()) {
      if (member.paused || member.raft === undefined || this.nowMs < member.nextTickAt) continue;
      member.nextTickAt = this.nowMs + TICK_MS / member.clockRate;
      this.wake(member).tick();
      this.settle(member);
    }
  }

  /** The core of a member that is about to do something: it looks at its clock first. */
  private wake({ raft, clockRate }: SimulatedMember): Raft {
    raft!.now = this.nowMs * clockRate;
    return raft!;
  }

  private propose(member: SimulatedMember): void {
    if (member.raft === undefined || member.paused) return;
    const count = 1 + this.random.below(3);
    const command = new Uint8Array(8);
    new DataView(command.buffer).setFloat64(0, ++this.counter);
    const { bytes } = encodeBatch(Array.from({ length: count }, () => command));
    const result = this.wake(member).propose(bytes, count);
    if (typeof result === 'string') this.probes.add(`proposal: ${result}`);
    this.settle(member);
  }

  private read(member: SimulatedMember): void {
    if (member.raft === undefined || member.paused) return;
    const context = ++this.counter;
    this.observer.readAsked(context);
    const raft = this.wake(member);
    if (!raft.readIndex(context)) return;
    const pending = raft.leadership?.readRounds.pending ?? 0;
    if (pending === 0) this.probes.add('read under a lease');
    if (pending > 1) this.probes.add('reads that share a round');
  }

  private changeMembers(member: SimulatedMember): void {
    const { raft } = member;
    if (raft?.role !== 'leader' || member.paused) return;
    const { voters, learners } = raft.configuration;
    const all = Array.from({ length: MEMBERS_MAX }, (_, i) => i + 1);
    // Who is to vote has learnt first: its disk holds a configuration that names it.
    const learnt = (id: number): boolean =>
      learners.includes(id) &&
      (raft.leadership?.progress.get(id)?.match ?? 0) >= raft.log.configurationIndex;
    const next = all.filter((id) =>
      voters.includes(id) ? this.chance(0.75) : learnt(id) && this.chance(0.7),
    );
    const learning = all.filter((id) => !next.includes(id) && this.chance(0.3));
    if (next.length === 0) return;
    const change = {
      voters: next,
      learners: learning,
      addresses: new Map(),
      incarnations: new Map([...next, ...learning].map((id) => [id, this.diskOf(id)])),
    };
    const result = this.wake(member).changeMembers(change);
    if (typeof result === 'string') this.probes.add(`change: ${result}`);
    else {
      if (!next.includes(raft.id)) this.probes.add('leader removes itself');
      if (learners.length > 0) this.probes.add('learners');
    }
    this.settle(member);
    if (typeof result === 'string') return;
    for (const id of [...next, ...learning]) {
      // Who joins knows nobody, except which group it was that met it.
      const nobody = { ...this.initial, voters: [], incarnations: new Map() };
      if (this.members.has(id)) continue;
      const joiner = this.member(id, nobody);
      joiner.identity = raft.log.identity;
      this.start(joiner);
    }
  }

  private compact(member: SimulatedMember): void {
    const { raft, writes } = member;
    if (raft === undefined || member.paused) return;
    if (this.climate.turns) this.settle(member);
    const { log } = raft;
    if (log.commit <= log.snapshotIndex) return;
    const index = log.snapshotIndex + 1 + this.random.below(log.commit - log.snapshotIndex);
    if (index > member.storedEnd || member.storedTerm(index) !== log.termAt(index)) return;
    if (writes.some((it) => it.snapshot !== undefined)) return;
    if (raft.configuration.outgoing.length > 0) this.probes.add('snapshot in a change');
    member.compact(raft, index, Math.max(log.baseIndex, index - this.random.below(4)));
  }

  private partition(): void {
    const ids = [...this.members.keys()];
    const one = this.pick(ids);
    const shape = this.random.below(7);
    if (shape < 2) this.cut.clear();
    else if (shape === 2) for (const id of ids) this.separate([one], [id]);
    else if (shape === 3) this.cut.add(`${one}>${this.pick(ids)}`);
    else if (shape === 4) {
      const half = ids.filter(() => this.chance(0.5));
      const rest = ids.filter((id) => !half.includes(id));
      this.separate(half, rest);
    } else if (shape === 5) {
      // A bridge: two sides that only one member reaches.
      const sides = ids.filter((id) => id !== one);
      this.separate(sides.slice(0, sides.length >> 1), sides.slice(sides.length >> 1));
    } else {
      // A ring: each reaches its neighbours only.
      ids.forEach((a, i) => {
        ids.forEach((b, j) => {
          const apart = Math.abs(i - j);
          if (apart > 1 && apart < ids.length - 1) this.separate([a], [b]);
        });
      });
    }
  }

  private separate(some: readonly number[], others: readonly number[]): void {
    for (const a of some) {
      for (const b of others) if (a !== b) this.cut.add(`${a}>${b}`).add(`${b}>${a}`);
    }
  }

  private deliverAny(): void {
    const { random, climate, late, network } = this;
    if (late.length > 0 && random.below(50) === 0) {
      // What was left on an older connection.
      this.deliver(late.splice(random.below(late.length), 1)[0]!);
      return;
    }
    if (network.length === 0) return;
    const at = this.chance(climate.disorder) ? random.below(network.length) : 0;
    const packet = network[at]!;
    if (!this.chance(climate.duplication)) network.splice(at, 1);
    if (!this.chance(climate.loss)) this.deliver(packet);
    else if (this.chance(climate.late) && late.length < 50) late.push(packet);
  }

  /** Something of the other group arrives here, as if its members listened where ours do. */
  private hearForeigner(): void {
    const packets = this.other?.network ?? [];
    if (packets.length > 0) this.deliver(this.pick(packets));
  }

  /** What every member does before it takes a message. */
  private refuses({ raft }: SimulatedMember, { message, identity, disk }: Packet): boolean {
    const { log } = raft!;
    const { from } = message;
    const distrust = log.refuses(from, identity);
    if (distrust === 'notMember' && log.identity === '') this.askForIdentity(raft!);
    if (distrust !== undefined) this.probes.add(`refused: ${distrust}`);
    const known = log.configuration.incarnations.get(from);
    return distrust !== undefined || (known !== undefined && known !== disk);
  }

  /** Those with whom a member began know which group that is. */
  private askForIdentity(raft: Raft): void {
    for (const id of raft.configuration.voters) {
      const reached = !this.cut.has(`${raft.id}>${id}`) && !this.cut.has(`${id}>${raft.id}`);
      const identity = this.members.get(id)?.raft?.log.identity ?? '';
      if (reached && raft.log.identity === '') raft.log.identity = identity;
    }
  }

  private deliver(packet: Packet): void {
    const { message } = packet;
    const member = this.members.get(message.to);
    if (member?.raft === undefined || this.cut.has(`${message.from}>${message.to}`)) return;
    if (member.paused) {
      // The kernel keeps it for the process.
      if (this.network.length < PACKETS_MAX) this.network.push(packet);
      return;
    }
    if (this.refuses(member, packet)) return;
    const { term, vote } = member.raft;
    const raft = this.wake(member);
    if (message.type === 'snapshot') {
      const { index, indexTerm, configuration } = message;
      member.received.set(index, { index, term: indexTerm, configuration });
    }
    raft.step(message);
    if (message.type === 'vote' && message.pre) {
      must(raft.term === term && raft.vote === vote, 'R19: a pre-vote changes nothing');
    }
    if (message.type === 'appendResponse' && message.rejected) this.probes.add('rejected append');
    this.settleSoon(member);
  }

  private finishSlowly(member: SimulatedMember): void {
    if (!member.slowDisk || this.random.below(20) === 0) this.finishWrite(member);
  }

  private finishWrite(member: SimulatedMember): void {
    const write = member.writes[0];
    if (write === undefined || member.raft === undefined || member.paused) return;
    member.writes.shift();
    member.store(write);
    this.observer.stored(member);
    this.wake(member).persisted(write.sequence);
    this.settleSoon(member);
  }

  /** A leader ends when the entry that leaves it out is on its disk, before anybody else hears of it. */
  private endsInItsRemoval(member: SimulatedMember, raft: Raft, write: Write | undefined): boolean {
    const { configuration, configurationIndex } = raft.log;
    if (raft.role !== 'leader' || membersOf(configuration).has(raft.id)) return false;
    if (!write?.batches.some((it) => it.index === configurationIndex)) return false;
    if (!this.chance(this.climate.crashes / 20)) return false;
    for (const each of member.writes.splice(0)) member.store(each);
    this.observer.stored(member);
    this.start(member);
    return true;
  }

  /** A member takes part once the log says that its disk is the one which the group knows. */
  private look(member: SimulatedMember, raft: Raft): void {
    const { log } = raft;
    if (log.commit > 0)
      must(log.configurationAt(log.commit).identity === log.identity, 'a log is of one group');
    if (log.identity !== member.identity && this.chance(0.1)) member.identity = log.identity;
    if (!raft.disqualified || log.incarnationOf(member.id) !== this.diskOf(member.id)) return;
    raft.disqualified = false;
    if (!isVoter(log.configuration, member.id))
      this.probes.add('one that is being removed restarts');
  }

  private diskOf(id: number): string {
    return `${this.name}${id}`;
  }

  /** At the end of the member's turn, to which more may come. */
  private settleSoon(member: SimulatedMember): void {
    if (this.climate.turns && this.chance(0.6)) this.probes.add('several inputs in a turn');
    else this.settle(member);
  }

  /** Carries out what the member asks for. */
  private settle(member: SimulatedMember): void {
    const { raft } = member;
    if (raft === undefined || member.paused) return;
    this.look(member, raft);
    const before = raft.role;
    const effects = raft.effects();
    if (before === 'leader' && raft.role === 'follower') this.probes.add('leader that left');
    this.observer.sees(this.members, member, raft, effects, this.nowMs);
    if (effects.write !== undefined) {
      member.writes.push(effects.write);
      if (effects.write.truncateTo !== undefined) this.probes.add('conflict cut off');
    }
    if (this.endsInItsRemoval(member, raft, effects.write)) return;
    for (const message of effects.messages) this.send(message);
    for (const { to, from } of effects.fetches) {
      this.probes.add('read from disk for a member');
      raft.provide(to, from, member.read(from));
    }
    if (effects.fetches.length > 0) this.settle(member);
  }

  private send(message: Message): void {
    for (const part of [this.nowMs, message.type.length, message.from, message.to, message.term]) {
      this.trace = Math.imul(this.trace ^ part, 16_777_619);
    }
    const identity = this.members.get(message.from)?.raft?.log.identity ?? '';
    this.network.push({ message, identity, disk: this.diskOf(message.from) });
    if (this.network.length > PACKETS_MAX) this.network.shift();
  }

  private chance(probability: number): boolean {
    return this.random.fraction() < probability;
  }

  private pick<T>(items: readonly T[]): T {
    return items[this.random.below(items.length)]!;
  }
}

/** What a walk found, if anything. Throws what is no violation. */
export function violationOf(walk: RaftWalk, events: number, heal = true): string | undefined {
  try {
    walk.run(events);
    if (heal) walk.heal();
    return undefined;
  } catch (error) {
    if (error instanceof Violation || VarlogError.is(error, 'INVARIANT')) return error.message;
    throw error;
  }
}

/** Events of one walk: about four virtual seconds. */
export const WALK_EVENTS = 4_000;

/** One walk, from its seed to the end of all faults. */
export async function raftScenario(seed: number): Promise<RunReport> {
  const walk = new RaftWalk(seed);
  const violation = violationOf(walk, WALK_EVENTS);
  if (violation !== undefined) {
    throw new Violation(`${violation}; with ${JSON.stringify(walk.climate)}`);
  }
  return { traceHash: walk.traceHash, simulatedMs: walk.nowMs };
}
