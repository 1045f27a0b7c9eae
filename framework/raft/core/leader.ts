import type { LogIndex } from '../../base/index.ts';
import {
  enter,
  hasQuorum,
  isVoter,
  leave,
  type MemberChange,
  membersOf,
  quorumIndex,
} from './configuration.ts';
import { encodeConfiguration } from './configuration-entry.ts';
import { costOf, type EntryBatch, endOf } from './entry-batch.ts';
import { Inflights } from './inflights.ts';
import type { AppendResponse, HeartbeatResponse } from './message.ts';
import { Progress } from './progress.ts';
import { ReadRounds } from './read-rounds.ts';
import type { RoleContext } from './role.ts';

const NO_BYTES = new Uint8Array(0);

/** What a member does and knows while it leads a term. */
export class Leadership {
  readonly readRounds = new ReadRounds();
  /** One for each member of the newest configuration, itself too, and for those that are being told that they left. */
  readonly progress = new Map<number, Progress>();
  /** Whom leadership is being handed to, a voter; 0 for nobody. While it is set no proposal is taken. */
  transferTo = 0;
  private readonly raft: RoleContext;
  /** Ticks since the last heartbeats. */
  private heartbeatElapsed = 0;
  /** Ticks since the transfer to `transferTo` began. */
  private transferElapsed = 0;
  /** Proposed in this term and not committed: end index and bytes. */
  private readonly uncommitted: Inflights;
  /** The next flush sends heartbeats. */
  private heartbeatDue = false;
  /** Until then no other member can be elected; see `leaseMs`. 0 once leadership was given up in this term. */
  private leaseUntil = 0;
  /** A member was told to campaign at once: leases mean nothing any more in this term. Never false again. */
  private gaveUpLease = false;

  constructor(raft: RoleContext) {
    this.raft = raft;
    this.uncommitted = new Inflights(Infinity, raft.options.uncommittedBytesMax);
    this.configure();
    for (const it of this.progress.values()) it.active = false;
    // A leader commits what its predecessors left by committing an entry of its own (paper §8). The
    // first one of all is what the group began with: from then on the log itself knows.
    const { configurationIndex, last } = raft.log;
    const payload = configurationIndex === 0 ? this.firstEntry() : NO_BYTES;
    raft.append({ index: last + 1, term: raft.term, count: 1, payload });
  }

  /** Takes over the newest configuration of the log: it is in force from its entry on (paper §6). */
  configure(): void {
    const { configuration, log, options } = this.raft;
    const members = membersOf(configuration);
    for (const member of members) {
      const known = this.progress.get(member);
      if (known !== undefined) {
        known.departing = undefined;
        continue;
      }
      const inflights = new Inflights(options.inflightMessagesMax, options.inflightBytesMax);
      const progress = new Progress(log.last + 1, inflights);
      // A new member has an election timeout to answer, before its silence counts.
      progress.active = true;
      this.progress.set(member, progress);
    }
    for (const [member, progress] of this.progress) {
      if (!members.has(member)) progress.departing ??= options.electionTicks;
    }
  }

  /** Returns whether there may be effects. */
  tick(): boolean {
    const { raft } = this;
    const { electionTicks, heartbeatTicks } = raft.options;
    if (raft.electionElapsed >= electionTicks) {
      raft.restartElectionElapsed();
      if (!this.quorumActive()) {
        raft.becomeFollower(raft.term, 0);
        return true;
      }
    }
    for (const [member, progress] of this.progress) {
      if (progress.departing !== undefined && --progress.departing <= 0) {
        this.progress.delete(member);
      }
    }
    if (this.transferTo !== 0 && ++this.transferElapsed >= electionTicks) this.transferTo = 0;
    if (++this.heartbeatElapsed >= heartbeatTicks) {
      this.heartbeatElapsed = 0;
      this.heartbeatDue = true;
    }
    return this.heartbeatDue;
  }

  get ticksUntilDue(): number {
    return Math.max(1, this.raft.options.heartbeatTicks - this.heartbeatElapsed);
  }

  propose(payload: Uint8Array, count: number): LogIndex | 'full' | 'transferring' {
    if (this.transferTo !== 0) return 'transferring';
    // One proposal may exceed the limit: otherwise a large one could never be made.
    if (this.uncommitted.full) return 'full';
    return this.append(payload, count);
  }

  changeMembers(change: MemberChange): LogIndex | 'changing' | 'full' | 'transferring' {
    const { configuration } = this.raft;
    if (this.raft.log.isChanging || !this.mayRead()) return 'changing';
    return this.propose(encodeConfiguration(enter(configuration, change)), 1);
  }

  transfer(to: number): boolean {
    // To stay after all: whoever was told to campaign may still win.
    if (to === this.raft.id) this.transferTo = 0;
    if (to === this.raft.id || !this.raft.configuration.voters.includes(to)) return false;
    if (this.transferTo === to) return true;
    this.transferTo = to;
    this.transferElapsed = 0;
    this.handOver(to);
    return true;
  }

  /** Takes a read: at once under a lease, otherwise with the next round. */
  read(context: number): void {
    const { raft } = this;
    if (raft.now < this.leaseUntil && this.mayRead()) {
      raft.confirmReads([{ context, index: raft.log.commit }]);
    } else this.readRounds.add(context);
  }

  /** The leader counts itself like any member: once its own disk has the entries. */
  ownWriteDone(last: LogIndex): void {
    if (this.progress.get(this.raft.id)?.acknowledged(last) === true) this.advanceCommit();
  }

  onAppendResponse(message: AppendResponse): void {
    const progress = this.progress.get(message.from);
    if (progress === undefined) return;
    progress.active = true;
    if (message.rejected) this.onRejection(progress, message);
    else this.onAcknowledgement(progress, message);
  }

  onHeartbeatResponse(message: HeartbeatResponse): void {
    const progress = this.progress.get(message.from);
    if (progress === undefined) return;
    progress.active = true;
    progress.probing = false;
    // An answer while entries are unacknowledged may mean that they were lost: ask where it stands. With a full window
    // too, and without entries then: they would pile up at a member whose disk stands still.
    if (progress.match < this.raft.log.last) progress.due = true;
    progress.round = Math.max(progress.round, message.round);
    if (message.promises) progress.promised = Math.max(progress.promised, message.round);
    this.confirmReads();
  }

  unreachable(member: number): void {
    const progress = this.progress.get(member);
    if (progress?.mode === 'replicate') progress.becomeProbe();
  }

  provide(to: number, from: LogIndex, batches: readonly EntryBatch[] | 'later'): void {
    const progress = this.progress.get(to);
    if (progress === undefined || !progress.fetching) return;
    progress.fetching = false;
    if (batches === 'later' || progress.next !== from || progress.paused) return;
    if (batches.length > 0) this.sendBatches(to, progress, batches);
    else this.offerSnapshot(to, progress);
  }

  /**
   * Sends what is due: once per group of inputs, so that their entries travel together. Returns whether a member was not
   * told of a commit: no message leaves for one alone that lies behind `urgentTo`, and behind the newest configuration.
   */
  flush(urgentTo: LogIndex): boolean {
    let commitUntold = false;
    const { raft } = this;
    this.beginReads();
    for (const [member, progress] of this.progress) {
      if (member === raft.id) continue;
      if (this.heartbeatDue) this.heartbeat(member, progress);
      this.replicate(member, progress);
      const commit = Math.min(progress.match, raft.log.commit);
      const mayWait = progress.commitSent >= Math.max(urgentTo, raft.log.configurationIndex);
      if (commit > progress.commitSent && mayWait) commitUntold = true;
      else if (commit > progress.commitSent) {
        progress.commitSent = commit;
        raft.send({ type: 'commit', to: member, commit });
      }
      // It knows now that it does not belong to the group any more.
      if (progress.departing !== undefined && progress.commitSent >= raft.log.configurationIndex) {
        this.progress.delete(member);
      }
    }
    this.heartbeatDue = false;
    if (this.hasLeft()) this.stepDown();
    return commitUntold;
  }

  /** Only an entry of the current term is committed by counting (paper §5.4.2, figure 8). */
  mayCommit(index: LogIndex): boolean {
    return this.raft.log.matches(index, this.raft.term);
  }

  /** Whether something of this term is committed: before, the leader does not know the commit index. */
  mayRead(): boolean {
    return this.mayCommit(this.raft.log.commit);
  }

  /** What the group began with, and who it is from now on. */
  private firstEntry(): Uint8Array {
    const { log, options } = this.raft;
    const identity = options.random.id().replaceAll('-', '');
    return encodeConfiguration({ ...log.configuration, identity });
  }

  private quorumActive(): boolean {
    const { configuration, id } = this.raft;
    const active = hasQuorum(configuration, (it) => it === id || !!this.progress.get(it)?.active);
    for (const progress of this.progress.values()) progress.active = false;
    return active;
  }

  private replicate(to: number, progress: Progress): void {
    const { log, options } = this.raft;
    while (!progress.paused || (progress.due && progress.mode === 'replicate')) {
      if (progress.fetching) return;
      const more = progress.next <= log.last && !progress.paused;
      if (!more && !progress.due) return;
      if (log.termAt(progress.next - 1) === undefined) {
        this.offerSnapshot(to, progress);
        return;
      }
      const batches = more ? log.batches(progress.next, options.messageBytesMax) : [];
      if (batches === undefined) {
        progress.fetching = true;
        this.raft.fetch({ to, from: progress.next, bytesMax: options.messageBytesMax });
        return;
      }
      this.sendBatches(to, progress, batches);
    }
  }

  private sendBatches(to: number, progress: Progress, batches: readonly EntryBatch[]): void {
    const { log } = this.raft;
    const prevIndex = progress.next - 1;
    const last = batches.at(-1);
    const end = last === undefined ? prevIndex : endOf(last);
    let bytes = 0;
    for (const batch of batches) bytes += costOf(batch);
    progress.commitSent = Math.max(progress.commitSent, Math.min(log.commit, end));
    const prevTerm = log.termAt(prevIndex) ?? 0;
    this.raft.send({ type: 'append', to, prevIndex, prevTerm, batches, commit: log.commit });
    progress.sent(end, bytes);
  }

  private offerSnapshot(to: number, progress: Progress): void {
    if (!progress.active) {
      // Not worth it for a member that does not answer; a heartbeat response brings it back here.
      progress.due = false;
      return;
    }
    const { log } = this.raft;
    const { snapshotIndex, snapshotTerm } = log;
    const configuration = log.configurationAt(snapshotIndex);
    progress.becomeSnapshot(snapshotIndex);
    progress.due = false;
    const snapshot = { index: snapshotIndex, indexTerm: snapshotTerm, configuration };
    this.raft.send({ type: 'snapshot', to, ...snapshot });
  }

  private heartbeat(to: number, progress: Progress): void {
    const { readRounds, raft } = this;
    const commit = Math.min(progress.match, raft.log.commit);
    progress.commitSent = Math.max(progress.commitSent, commit);
    raft.send({ type: 'heartbeat', to, commit, round: readRounds.round });
    // The offer may have been lost; who is busy with it ignores the repetition.
    if (progress.mode === 'snapshot') this.offerSnapshot(to, progress);
  }

  private onAcknowledgement(progress: Progress, { from, index }: AppendResponse): void {
    const news = progress.acknowledged(index);
    if (progress.mode === 'probe') {
      progress.becomeReplicate();
    } else if (progress.mode === 'snapshot') {
      if (this.raft.log.termAt(progress.match) !== undefined) progress.becomeReplicate();
    } else progress.inflights.freeTo(index);
    if (news) this.advanceCommit();
    if (this.transferTo === from) this.handOver(from);
  }

  private onRejection(progress: Progress, message: AppendResponse): void {
    const { log } = this.raft;
    if (progress.mode === 'snapshot') return;
    const candidate = log.lastWithTermUpTo(message.hintIndex, message.hintTerm);
    if (progress.refused(message.index, candidate)) progress.due = true;
  }

  private advanceCommit(): void {
    const { raft } = this;
    const index = quorumIndex(raft.configuration, (it) => this.progress.get(it)?.match ?? 0);
    if (index <= raft.log.commit || !this.mayCommit(index)) return;
    raft.log.commitTo(index);
    this.uncommitted.freeTo(index);
    const { configuration, configurationIndex } = raft.log;
    if (configuration.outgoing.length > 0 && configurationIndex <= index) {
      this.append(encodeConfiguration(leave(configuration)), 1);
    }
  }

  private append(payload: Uint8Array, count: number): LogIndex {
    const { raft } = this;
    const index = raft.log.last + 1;
    const batch = { index, term: raft.term, count, payload };
    this.uncommitted.add(endOf(batch), costOf(batch));
    raft.append(batch);
    return index;
  }

  /** A leader that is no voter any more leads until that is committed, without counting itself. */
  private hasLeft(): boolean {
    return !this.raft.log.isChanging && !isVoter(this.raft.configuration, this.raft.id);
  }

  private stepDown(): void {
    const { raft } = this;
    const matchOf = (it: number): LogIndex => this.progress.get(it)?.match ?? 0;
    const [heir] = [...raft.configuration.voters].sort((a, b) => matchOf(b) - matchOf(a));
    if (heir !== undefined && matchOf(heir) >= raft.log.commit) {
      raft.send({ type: 'timeoutNow', to: heir });
    }
    raft.becomeFollower(raft.term, 0);
  }

  private beginReads(): void {
    const { raft, readRounds } = this;
    const leased = raft.options.leaseMs !== undefined && this.heartbeatDue;
    if (!this.mayRead() || (readRounds.pending === 0 && !leased)) return;
    if (!readRounds.begin(raft.log.commit, raft.now)) return;
    this.heartbeatDue = true;
    this.confirmReads();
  }

  private confirmReads(): void {
    const { raft, readRounds } = this;
    if (!readRounds.underWay) return;
    if (!this.quorumIsAt('round')) return;
    const { leaseMs } = raft.options;
    // One member that promises nothing may be all that another leader needs.
    if (leaseMs !== undefined && !this.gaveUpLease && this.quorumIsAt('promised'))
      this.leaseUntil = readRounds.startedAt + leaseMs;
    raft.confirmReads(readRounds.confirm());
  }

  /** Whether enough members have answered the newest read round, this one counted in. */
  private quorumIsAt(what: 'round' | 'promised'): boolean {
    const { raft, progress, readRounds } = this;
    return hasQuorum(
      raft.configuration,
      (it) => it === raft.id || (progress.get(it)?.[what] ?? 0) >= readRounds.round,
    );
  }

  private handOver(to: number): void {
    if (this.progress.get(to)?.match !== this.raft.log.last) return;
    this.gaveUpLease = true;
    this.leaseUntil = 0;
    this.raft.send({ type: 'timeoutNow', to });
  }
}
