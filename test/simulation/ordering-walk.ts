import {
  type Commit,
  type CutEntry,
  type MetadataChanges,
  needed,
  type ReplicaCore,
  type Report,
  type SetReplicas,
  type Step,
} from '../../framework/log/core/index.ts';
import { DefectiveMetadata, type MetadataDefect } from './defective-metadata.ts';
import { DefectivePlanner, type PlannerDefect } from './defective-planner.ts';
import { DefectiveReplica, type ReplicaDefect } from './defective-replica.ts';

export type Defect = MetadataDefect | PlannerDefect | ReplicaDefect;

export interface WalkOptions {
  seed: number;
  steps: number;
  acknowledge: 'majority' | 'all';
  defects?: readonly Defect[];
}

/** What a walk came across; each must happen in some walk, or the walk tests nothing. */
export type Sight =
  | 'ack'
  | 'crash'
  | 'lostDisk'
  | 'leaderChange'
  | 'droppedProposal'
  | 'history'
  | 'suffixCut'
  | 'sync'
  | 'sealedWaiter'
  | 'restartedPrimary'
  | 'cutOff'
  | 'overtaken'
  | 'replicasChanged'
  | 'changeRefused'
  | 'replicaComesBack';

/** What the protocol promised and did not keep. */
export class Violation extends Error {}

const STREAMS = [1, 2];
const NODES = [1, 2, 3];

/** One replica: its core, and a disk on which only what was synced survives a crash. */
interface Replica {
  node: number;
  stream: number;
  core: ReplicaCore;
  /** Record `i` has LLSN `i + 1`. */
  records: string[];
  durableRecords: number;
  commits: Commit[];
  durableCommits: number;
  adopted: { epoch: number; sealed: boolean };
  /** Commits whose records are not here yet. */
  early: Commit[];
  /** Appends of the primary that wait for their commit, by LLSN. */
  waiters: Map<number, string>;
  /** Changes whenever the replica begins to fetch anew: what was on its way then is not for it. */
  fetch: number;
  /** Where its log stream ends, by its newest assignment. */
  assignedEnd: number;
  /** Reports on their way to the leader, in order. */
  outbox: Report[];
}

interface Packet {
  to: Replica;
  fetch: number;
  from: number;
  records: string[];
  commits: Commit[];
}

/**
 * A random walk through everything that can happen to the ordering protocol: two log streams on
 * three nodes, crashes that lose what was not synced, a lost disk, messages that are lost, repeated
 * and reordered, changes of the leader that drop proposals, seals and unseals at any time. Checks
 * after every step that nobody sees anything that the protocol rules out, and in the end, when all
 * is well again, that everything that was acknowledged is everywhere.
 */
export class OrderingWalk {
  readonly sights = new Set<Sight>();
  private readonly options: WalkOptions;
  private readonly defects: ReadonlySet<Defect>;
  private state: number;
  private readonly metadata: DefectiveMetadata;
  private planner: DefectivePlanner;
  private readonly replicas: Replica[] = [];
  private proposals: (readonly CutEntry[])[] = [];
  private commitsUnderWay: { to: Replica; commit: Commit }[] = [];
  private packets: Packet[] = [];
  /** Reports that were sent on links that are gone. */
  private late: { node: number; report: Report }[] = [];
  /** Raft commits nothing for the time being. */
  private raftStalls = false;
  private appended = 0;
  /** What everybody must agree on: the record at each LLSN, and the LLSN at each GLSN. */
  private readonly content = new Map<string, string>();
  private readonly order = new Map<number, string>();
  private readonly acknowledged = new Map<string, { place: string; glsn: number }>();
  private readonly refused = new Set<string>();
  private readonly sealedEnds = new Map<number, number>();
  /** The newest process of each replica. */
  private readonly processes = new Map<string, string>();
  private processesMade = 0;
  /** A node that lost its disk and is not whole again. */
  private deficient: number | undefined;
  private calm = false;
  /** A node that the metadata repository does not reach, 0 for none; the other nodes do. */
  private cutOff = 0;
  /** A node that has heard of a seal, and gets no records until others have gone on in the next epoch; 0: none. */
  private unfed = 0;
  /** Whether an operator changes replicas: not in every walk, because it is in the way of other things. */
  private readonly isOperated: boolean;
  /** What an operator has decided, and not done yet. */
  private pending: SetReplicas | undefined;

  constructor(options: WalkOptions) {
    this.options = options;
    this.state = options.seed * 2_654_435_761 + 1;
    this.defects = new Set(options.defects);
    this.isOperated = options.seed % 4 === 0;
    this.metadata = new DefectiveMetadata(this.defects as ReadonlySet<MetadataDefect>);
    for (const id of NODES) {
      this.metadata.apply({ kind: 'registerStorageNode', id, address: `node-${id}` });
    }
    this.metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: options.acknowledge });
    for (const id of STREAMS) {
      const replicas = [...NODES.slice(id - 1), ...NODES.slice(0, id - 1)];
      this.metadata.apply({ kind: 'registerLogStream', id, topicId: 1, replicas });
    }
    this.planner = this.newPlanner();
    for (const stream of STREAMS) {
      for (const node of NODES) this.replicas.push(this.newReplica(node, stream));
    }
    for (const it of this.replicas) this.assign(it);
    this.calm = true;
    for (const it of this.replicas) {
      this.advance(it);
      this.report(it);
      this.deliverReport(it);
    }
    for (const id of STREAMS) this.admin(id);
    for (const it of this.replicas) this.advance(it);
    this.calm = false;
  }

  /** How many records were acknowledged. */
  get acknowledgements(): number {
    return this.acknowledged.size;
  }

  /** Throws a {@link Violation} when the protocol broke a promise. */
  run(): void {
    try {
      for (let i = 0; i < this.options.steps; i++) this.step();
      this.settle();
    } catch (error) {
      // A mistake of the walk's own says nothing of the protocol.
      if (error instanceof Violation || error instanceof TypeError) throw error;
      throw new Violation(error instanceof Error ? error.message : String(error));
    }
  }

  private step(): void {
    if (this.raftStalls && this.below(40) === 0) this.raftStalls = false;
    if (this.cutOff !== 0 && this.unfed === 0 && this.below(200) === 0) this.cutOff = 0;
    if (this.unfed !== 0 && this.below(400) === 0) this.unfed = 0;
    const kind = this.below(1_000);
    const replica = this.pick(this.replicas);
    if (kind < 120) this.append(this.pick(STREAMS));
    else if (kind < 250) this.sync(replica);
    else if (kind < 360) this.report(replica);
    else if (kind < 490) this.deliverReport(this.pickBusy(replica, (it) => it.outbox.length > 0));
    else if (kind < 550) this.propose();
    else if (kind < 630 && !this.raftStalls) this.commitProposal();
    else if (kind < 750) this.deliverCommit();
    else if (kind < 830) this.send(this.pickBusy(replica, ({ core }) => isFetch(core.next())));
    else if (kind < 920) this.deliverPacket();
    else if (kind < 970) this.advance(this.pickBusy(replica, ({ core }) => isWork(core.next())));
    else if (kind < 973) this.crashSome();
    else if (kind < 976) this.changeLeader();
    else if (kind < 988) this.administer(this.pick(STREAMS));
    else if (kind < 992) this.loseMessages();
    else this.somethingRare(replica);
  }

  private somethingRare(replica: Replica): void {
    const kind = this.below(20);
    if (kind < 7) this.raftStalls = true;
    else if (kind < 12) this.deliverLate();
    else if (kind < 13) this.loseDisk(this.pick(NODES));
    else if (kind < 15) this.cutOffOne();
    else this.assign(replica);
  }

  private cutOffOne(): void {
    this.sights.add('cutOff');
    this.cutOff = this.pick(NODES);
  }

  /** One that is to come to what was ordered before the seal only when the others have gone on. */
  private starveOne(id: number, end: number): void {
    const lacks = this.replicas.filter((it) => it.stream === id && it.core.end < end);
    if (this.unfed !== 0 || lacks.length === 0) return;
    const replica = this.pick(lacks);
    this.assign(replica);
    this.unfed = replica.node;
  }

  private append(stream: number): void {
    // One that has not heard of its end yet goes on appending beside its successor.
    const primaries = this.replicas.filter((it) => it.stream === stream && it.core.isPrimary);
    if (primaries.length === 0) return;
    const primary = this.pick(primaries);
    const count = 1 + this.below(3);
    let llsn = primary.core.append(count);
    for (let i = 0; i < count; i++) {
      const record = `record ${++this.appended}`;
      primary.records.push(record);
      primary.waiters.set(llsn++, record);
    }
  }

  private sync(replica: Replica): void {
    replica.durableRecords = replica.records.length;
    if (this.below(3) === 0) replica.durableCommits = replica.commits.length;
    replica.core.wasWritten(replica.durableRecords);
  }

  private report(replica: Replica): void {
    const report = replica.core.report(replica.stream, replica.durableCommits);
    if (report.state === 'restarted') this.sights.add('restartedPrimary');
    replica.outbox.push(report);
  }

  private deliverReport(replica: Replica): void {
    if (replica.outbox.length === 0 || replica.node === this.cutOff) return;
    // Now and then one overtakes the others, or is delivered twice.
    const index = this.calm || this.below(6) > 0 ? 0 : this.below(replica.outbox.length);
    this.planner.report(replica.node, replica.outbox[index]!);
    if (this.below(8) !== 0) replica.outbox.splice(index, 1);
  }

  private deliverLate(): void {
    if (this.late.length === 0) return;
    const [it] = this.late.splice(this.below(this.late.length), 1);
    this.planner.report(it!.node, it!.report);
  }

  private propose(): void {
    const entries = this.planner.plan();
    if (entries.length > 0) this.proposals.push(entries);
  }

  private commitProposal(): void {
    const entries = this.proposals.shift();
    if (entries === undefined) return;
    this.passOn(this.metadata.apply({ kind: 'cut', entries }).changes);
  }

  private passOn({ commits, reassigned }: MetadataChanges): void {
    if (commits.length > 0 && this.unfed === this.cutOff && this.below(2) === 0) this.unfed = 0;
    for (const commit of commits) {
      this.checkCommit(commit);
      for (const it of this.replicas) {
        if (it.stream === commit.logStreamId && this.isPlaced(it))
          this.commitsUnderWay.push({ to: it, commit });
      }
    }
    for (const id of reassigned.keys()) {
      this.planner.revisit(id);
      for (const it of this.replicas) {
        if (it.stream === id && (this.calm || this.below(3) > 0)) this.assign(it);
      }
    }
  }

  private deliverCommit(): void {
    if (this.commitsUnderWay.length === 0) return;
    const index = this.below(this.commitsUnderWay.length);
    const { to, commit } = this.commitsUnderWay[index]!;
    if (this.below(8) !== 0) this.commitsUnderWay.splice(index, 1);
    if (to.node !== this.cutOff) this.take(to, commit);
  }

  private take(replica: Replica, commit: Commit): void {
    if (!this.isPlaced(replica)) return;
    const before = replica.core.committedEnd;
    const outcome = replica.core.commit(commit);
    if (outcome === 'waiting') replica.early.push(commit);
    if (outcome === 'gap') this.sendHistory(replica);
    if (outcome !== 'applied') return;
    replica.commits.push(commit);
    // A defective core may take a commit for other records than it names.
    this.checkApplied(replica, before + 1, commit);
  }

  private sendHistory(replica: Replica): void {
    if (this.commitsUnderWay.some(({ to }) => to === replica)) return;
    this.sights.add('history');
    const { history } = this.metadata.logStreams.get(replica.stream)!;
    for (const commit of history.from(replica.core.version + 1)) {
      if (this.below(4) > 0) this.commitsUnderWay.push({ to: replica, commit });
    }
  }

  /** The replica asks another one for what it lacks; what that has is on its way then. */
  private send(to: Replica): void {
    if (to.node === this.unfed) return;
    const wanted = to.core.next();
    const stream = this.metadata.logStreams.get(to.stream)!;
    const others = this.replicas.filter(
      (it) => it.stream === to.stream && it !== to && this.isPlaced(it),
    );
    if (others.length === 0) return;
    if (wanted.kind === 'followPrimary') {
      const primary = others.find((it) => it.node === stream.members[0]);
      if (primary?.core.serves(to.core.epoch) !== true) return;
      const records = primary.records.slice(to.core.end, to.core.end + 1 + this.below(4));
      this.packets.push({ to, fetch: to.fetch, from: to.core.end + 1, records, commits: [] });
    } else if (wanted.kind === 'fetchCommitted') {
      const source = this.pick(others);
      const records = source.records.slice(to.core.end, source.core.servableEnd);
      const commits = source.commits.filter((it) => it.version > to.core.version);
      this.packets.push({ to, fetch: to.fetch, from: to.core.end + 1, records, commits });
    }
  }

  private deliverPacket(): void {
    if (this.packets.length === 0) return;
    const index = this.below(this.packets.length);
    const { to, fetch, from, records, commits } = this.packets[index]!;
    if (to.node === this.unfed) return;
    if (this.below(8) !== 0) this.packets.splice(index, 1);
    if (fetch !== to.fetch && !this.defects.has('replicateWithoutEpoch')) return;
    for (const [i, record] of records.entries()) {
      if (to.core.receive(from + i, 1)) to.records.push(record);
    }
    if (commits.length > 0) this.sights.add('sync');
    for (const commit of commits) this.take(to, commit);
    if (to.core.state === 'sealing' && to.core.committedEnd > to.assignedEnd)
      this.sights.add('overtaken');
    for (const commit of to.early.splice(0)) this.take(to, commit);
  }

  private assign(replica: Replica): void {
    if (replica.node === this.cutOff) return;
    if (!this.isPlaced(replica)) return;
    const { members, ...stream } = this.metadata.logStreams.get(replica.stream)!;
    const { epoch, sealed, end, version, primaryProcess } = stream;
    replica.core.assign({ epoch, sealed, end, version, members: [...members], primaryProcess });
    replica.assignedEnd = end;
    if (sealed) this.refuseBehind(replica, end);
    replica.fetch++;
    if (version > replica.core.version) this.sendHistory(replica);
  }

  private refuseBehind(replica: Replica, end: number): void {
    for (const [llsn, record] of replica.waiters) {
      if (llsn <= end) continue;
      this.sights.add('sealedWaiter');
      replica.waiters.delete(llsn);
      this.refused.add(record);
    }
  }

  /** Does what the core asks for next. */
  private advance(replica: Replica): void {
    const step = replica.core.next();
    if (step.kind === 'truncate') {
      this.sights.add('suffixCut');
      replica.records.length = Math.min(replica.records.length, step.end);
      replica.durableRecords = Math.min(replica.durableRecords, step.end);
      replica.early = [];
      replica.fetch++;
      replica.core.wasTruncated(step.end);
    } else if (step.kind === 'adopt') {
      replica.durableCommits = replica.commits.length;
      replica.adopted = { epoch: step.epoch, sealed: step.sealed };
      replica.fetch++;
      replica.core.hasAdopted(step.epoch, step.sealed);
      if (step.sealed) this.checkSealed(replica);
    }
  }

  private crashSome(): void {
    const together = this.below(4) === 0;
    for (const node of together ? NODES : [this.pick(NODES)]) this.crash(node);
  }

  private crash(node: number): void {
    this.sights.add('crash');
    for (const it of this.replicas) if (it.node === node) this.restart(it);
  }

  private restart(replica: Replica): void {
    replica.records.length = replica.durableRecords;
    const kept = replica.commits
      .slice(0, replica.durableCommits)
      .filter((it) => it.llsn + it.count - 1 <= replica.records.length);
    const last = kept.at(-1);
    Object.assign(replica, {
      commits: kept,
      durableCommits: kept.length,
      early: [],
      waiters: new Map(),
      fetch: replica.fetch + 1,
      outbox: [],
      core: new DefectiveReplica(
        this.newProcess(replica.node, replica.stream),
        {
          ...replica.adopted,
          end: replica.records.length,
          committedEnd: last === undefined ? 0 : last.llsn + last.count - 1,
          version: last?.version ?? 0,
        },
        this.defects as ReadonlySet<ReplicaDefect>,
      ),
    });
    this.assign(replica);
  }

  private loseDisk(node: number): void {
    if (this.deficient !== undefined || this.calm || !this.isRedundant()) return;
    this.sights.add('lostDisk');
    this.deficient = node;
    for (const it of this.replicas) {
      if (it.node !== node) continue;
      it.durableRecords = 0;
      it.durableCommits = 0;
      it.adopted = { epoch: 0, sealed: false };
      this.restart(it);
    }
  }

  /** A lost disk is made good once its node is a whole member of all log streams again. */
  private checkDeficient(): void {
    const whole = this.replicas
      .filter((it) => it.node === this.deficient)
      .every((it) => {
        const { epoch, members } = this.metadata.logStreams.get(it.stream)!;
        return members.length === NODES.length && it.core.epoch === epoch;
      });
    if (whole) this.deficient = undefined;
  }

  private changeLeader(): void {
    this.sights.add('leaderChange');
    // What the old leader proposed last may have reached nobody.
    const kept = this.below(this.proposals.length + 1);
    if (kept < this.proposals.length) this.sights.add('droppedProposal');
    this.proposals.length = kept;
    this.planner = this.newPlanner(this.planner);
    for (const it of this.replicas) it.outbox = [];
  }

  /** A log stream is open most of the time. */
  private administer(id: number): void {
    if (this.pending?.id === id) this.carryOut(this.pending);
    else if (this.isOperated && this.metadata.logStreams.get(id)!.sealed && this.below(3) === 0)
      this.changeReplicas(id);
    else if (this.metadata.logStreams.get(id)!.sealed || this.below(5) === 0) this.admin(id);
  }

  /** Seals an open log stream; opens a sealed one on replicas that are known to hold all of it. */
  private admin(id: number): void {
    const stream = this.metadata.logStreams.get(id)!;
    if (!stream.sealed) {
      // One last cut; others may still be under way, and come behind the seal.
      this.propose();
      if (this.below(2) === 0) while (this.proposals.length > 0) this.commitProposal();
      const { changes } = this.metadata.apply({ kind: 'seal', id, byOperator: false });
      this.sealedEnds.set(id, stream.end);
      this.passOn(changes);
      if (!this.calm && this.below(4) > 0) this.starveOne(id, stream.end);
      return;
    }
    const whole = this.holdersOf(id);
    const enough = this.calm ? NODES.length : Math.ceil(stream.replicas.length / 2);
    if (whole.length < enough) return;
    const members = this.calm || this.below(2) === 0 ? whole : whole.slice(0, 2);
    const disks = members.map(() => '');
    const primaryProcess = this.processes.get(`${members[0]} ${id}`)!;
    const opening = { id, epoch: stream.epoch + 1, members, disks, primaryProcess };
    const { changes } = this.metadata.apply({ kind: 'unseal', ...opening });
    this.sealedEnds.delete(id);
    // It hears of that later than from those who have gone on.
    if (this.unfed !== 0) this.cutOff = this.unfed;
    this.passOn(changes);
    if (this.deficient !== undefined) this.checkDeficient();
  }

  /** Replicas of a sealed log stream that have said that they hold all of it. */
  private holdersOf(id: number): number[] {
    const { replicas, epoch, end } = this.metadata.logStreams.get(id)!;
    return replicas.filter((node) => {
      const report = this.planner.reportOf(id, node);
      return report?.state === 'sealed' && report.epoch === epoch && report.end === end;
    });
  }

  /** An operator takes replicas away or adds some; now and then what he saw is old when it is done. */
  private changeReplicas(id: number): void {
    if (this.deficient !== undefined) return;
    const chosen = NODES.filter(() => this.below(2) === 0);
    if (chosen.length === 0) return;
    const { revision } = this.metadata.logStreams.get(id)!;
    const holders = this.holdersOf(id);
    const order: SetReplicas = { kind: 'setReplicas', id, replicas: chosen, revision, holders };
    if (this.below(4) === 0) this.pending = order;
    else this.carryOut(order);
  }

  private carryOut(order: SetReplicas): void {
    this.pending = undefined;
    const stream = this.metadata.logStreams.get(order.id)!;
    // One without its disk has said before that it holds everything.
    if (this.deficient !== undefined || !stream.sealed) return;
    const before = stream.replicas;
    const { result, changes } = this.metadata.apply(order);
    if (!result.ok) {
      this.sights.add('changeRefused');
      return;
    }
    this.sights.add('replicasChanged');
    for (const it of this.replicas) {
      if (it.stream !== order.id) continue;
      const was = before.includes(it.node);
      if (was && !this.isPlaced(it)) this.remove(it);
      if (!was && this.isPlaced(it)) this.sights.add('replicaComesBack');
    }
    this.passOn(changes);
  }

  /** What it held is gone; should it be a replica again, it begins with nothing. */
  private remove(replica: Replica): void {
    const { node, stream, fetch } = replica;
    Object.assign(replica, this.newReplica(node, stream), { fetch: fetch + 1 });
    this.late = this.late.filter((it) => it.node !== node || it.report.logStreamId !== stream);
    this.commitsUnderWay = this.commitsUnderWay.filter(({ to }) => to !== replica);
  }

  private isPlaced({ node, stream }: Replica): boolean {
    return this.metadata.logStreams.get(stream)!.replicas.includes(node);
  }

  /** Whether every record is on a second disk, so that one may be lost. */
  private isRedundant(): boolean {
    return [...this.metadata.logStreams.values()].every(
      ({ replicas, members, initialMembers }) =>
        replicas.length === NODES.length &&
        members.length === initialMembers.length &&
        members.length > 1,
    );
  }

  private loseMessages(): void {
    this.commitsUnderWay = this.commitsUnderWay.filter(() => this.below(2) === 0);
    this.packets = this.packets.filter(() => this.below(2) === 0);
    const replica = this.pick(this.replicas);
    // A link that breaks loses what was on it, or delivers it much later; a new one begins with the
    // newest report.
    const { node } = replica;
    this.late.push(...replica.outbox.slice(0, 1).map((report) => ({ node, report })));
    replica.outbox = [];
    this.report(replica);
  }

  /** No more faults: everything must become whole, and everything acknowledged must be there. */
  private settle(): void {
    this.calm = true;
    this.raftStalls = false;
    this.cutOff = 0;
    this.unfed = 0;
    for (let round = 0; round < 60; round++) {
      for (const it of this.replicas) this.assign(it);
      for (let i = 0; i < 12; i++) {
        for (const it of this.replicas) {
          this.advance(it);
          this.send(it);
          while (this.packets.length > 0) this.deliverPacket();
          this.sync(it);
          this.report(it);
          while (it.outbox.length > 0) this.deliverReport(it);
        }
        this.propose();
        this.commitProposal();
        // A replica without its disk asks for ever for what is forgotten: not until none are left.
        for (let n = 2 * this.commitsUnderWay.length; n > 0; n--) this.deliverCommit();
      }
      if (this.isWhole()) {
        this.checkEnd();
        return;
      }
      for (const id of STREAMS) {
        const { sealed, members, replicas, revision } = this.metadata.logStreams.get(id)!;
        if (sealed && replicas.length < NODES.length) {
          const all = [...replicas, ...NODES.filter((it) => !replicas.includes(it))];
          const holders = this.holdersOf(id);
          this.carryOut({ kind: 'setReplicas', id, replicas: all, revision, holders });
          continue;
        }
        const restarted = this.replicas.some(
          (it) => it.stream === id && it.core.state !== 'open' && it.node === members[0],
        );
        if (sealed || restarted || members.length < NODES.length || round % 5 === 4) this.admin(id);
      }
    }
    throw new Violation('stuck: the log streams do not become whole again');
  }

  private isWhole(): boolean {
    return this.replicas.every((it) => {
      const { epoch, sealed, end, members } = this.metadata.logStreams.get(it.stream)!;
      const here = it.core.state === 'open' && it.core.epoch === epoch;
      const all = members.length === NODES.length && it.core.end === end;
      return !sealed && here && all && it.core.committedEnd === end;
    });
  }

  private checkEnd(): void {
    for (const it of this.replicas) {
      for (const [i, record] of it.records.entries()) {
        this.expect(
          this.content.get(`${it.stream}/${i + 1}`) === record,
          `node ${it.node} has ${record} at ${it.stream}/${i + 1}`,
        );
        this.expect(!this.refused.has(record), `${record} was refused, and is there`);
      }
    }
    for (const [record, { place, glsn }] of this.acknowledged) {
      this.expect(this.content.get(place) === record, `${record} was acknowledged, and is gone`);
      this.expect(this.order.get(glsn) === place, `${record} has moved from GLSN ${glsn}`);
    }
    const { highWatermark } = this.metadata.topics.get(1)!;
    this.expect(this.order.size === highWatermark, 'GLSNs are not dense');
  }

  /**
   * I1, I2, I3, I5: a cut extends its log stream and the topic without gap, no sealed one, and only by
   * what enough members have had on disk.
   */
  private checkCommit({ logStreamId, llsn, glsn, count }: Commit): void {
    this.expect(!this.sealedEnds.has(logStreamId), `log stream ${logStreamId} moved while sealed`);
    const end = llsn + count - 1;
    const { members } = this.metadata.logStreams.get(logStreamId)!;
    const holders = this.replicas.filter(
      ({ stream, node, durableRecords }) =>
        stream === logStreamId &&
        members.includes(node) &&
        (durableRecords >= end || node === this.deficient),
    );
    const enough = needed(members.length, this.options.acknowledge);
    this.expect(holders.length >= enough, `${logStreamId}/${end} is on ${holders.length} disks`);
    for (let i = 0; i < count; i++) {
      const place = `${logStreamId}/${llsn + i}`;
      const before = this.order.get(glsn + i);
      this.expect(before === undefined, `GLSN ${glsn + i} is both ${before} and ${place}`);
      this.expect(glsn + i === this.order.size + 1, `GLSN ${glsn + i} leaves a gap`);
      this.order.set(glsn + i, place);
    }
  }

  /** I2, I4, I7, I8: replicas agree on the records, and on their GLSNs; one acknowledgement each. */
  private checkApplied(replica: Replica, first: number, { llsn, glsn, count }: Commit): void {
    for (let i = 0; i < count; i++) {
      const place = `${replica.stream}/${first + i}`;
      const record = replica.records[first + i - 1];
      this.expect(first + i === llsn + i, `commit of ${llsn + i} was applied to ${place}`);
      this.expect(record !== undefined, `${place} is committed where it is not`);
      const agreed = this.content.get(place);
      this.expect(
        agreed === undefined || agreed === record,
        `${place} is ${agreed}, and ${record} on node ${replica.node}`,
      );
      this.content.set(place, record!);
      this.expect(this.order.get(glsn + i) === place, `${place} is not GLSN ${glsn + i}`);
      if (replica.waiters.get(first + i) === record) {
        this.sights.add('ack');
        this.acknowledged.set(record!, { place, glsn: glsn + i });
      }
      replica.waiters.delete(first + i);
    }
  }

  /** I6: a sealed replica holds exactly what was ordered. */
  private checkSealed(replica: Replica): void {
    const { records, node, stream } = replica;
    // As it was told: that may be an earlier seal than the newest.
    this.expect(
      records.length === replica.assignedEnd,
      `node ${node} sealed ${stream} at ${records.length}`,
    );
    for (const [i, record] of records.entries()) {
      const agreed = this.content.get(`${stream}/${i + 1}`);
      this.expect(agreed === undefined || agreed === record, `node ${node} sealed ${record}`);
    }
  }

  private expect(condition: boolean, what: string): void {
    if (!condition) throw new Violation(what);
  }

  private newProcess(node: number, stream: number): { node: number; process: string } {
    const process = `process ${++this.processesMade}`;
    this.processes.set(`${node} ${stream}`, process);
    return { node, process };
  }

  private newPlanner(earlier?: DefectivePlanner): DefectivePlanner {
    const defects = this.defects as ReadonlySet<PlannerDefect>;
    return new DefectivePlanner(this.metadata, defects, earlier);
  }

  private newReplica(node: number, stream: number): Replica {
    const recovered = { epoch: 0, sealed: false, end: 0, committedEnd: 0, version: 0 };
    return {
      node,
      stream,
      core: new DefectiveReplica(
        this.newProcess(node, stream),
        recovered,
        this.defects as ReadonlySet<ReplicaDefect>,
      ),
      records: [],
      durableRecords: 0,
      commits: [],
      durableCommits: 0,
      adopted: { epoch: 0, sealed: false },
      early: [],
      waiters: new Map(),
      fetch: 0,
      assignedEnd: 0,
      outbox: [],
    };
  }

  /** One of those that have something to do, or else `replica`. */
  private pickBusy(replica: Replica, isBusy: (replica: Replica) => boolean): Replica {
    const busy = this.replicas.filter(isBusy);
    return busy.length === 0 ? replica : this.pick(busy);
  }

  private pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** mulberry32 */
  private below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }
}

function isWork({ kind }: Step): boolean {
  return kind === 'truncate' || kind === 'adopt';
}

function isFetch({ kind }: Step): boolean {
  return kind === 'fetchCommitted' || kind === 'followPrimary';
}
