import {
  type Configuration,
  decodeConfiguration,
  type Effects,
  hasQuorum,
  isConfigurationEntry,
  isVoter,
  type Message,
  type Raft,
  type Write,
} from '../../framework/raft/core/index.ts';
import type { SimulatedMember } from './raft-member.ts';
import { must } from './violation.ts';

/**
 * Sees everything, and checks after each event what can be checked then: election safety, log matching,
 * leader completeness, state machine safety (paper §5, figure 3), and what else has to hold.
 */
export class RaftObserver {
  readonly probes: Set<string>;
  private readonly leaders = new Map<number, number>();
  private readonly votes = new Map<string, number>();
  private readonly entries = new Map<string, string>();
  private readonly termsWritten = new Set<number>();
  /** Term of each committed entry, by index. */
  private readonly committed: number[] = [0];
  /** Who belonged to the group at each committed entry. */
  private readonly configurations: Configuration[] = [];
  private readonly reads = new Map<number, number>();
  private readonly requests = new Map<string, { lastIndex: number; lastTerm: number }>();
  private readonly uncommittedBytesMax: number;
  /** Of all leaders that there ever were, the highest. */
  private newestTerm = 0;
  confirmedReads = 0;

  constructor(probes: Set<string>, uncommittedBytesMax: number) {
    this.probes = probes;
    this.uncommittedBytesMax = uncommittedBytesMax;
  }

  get commits(): number {
    return this.committed.length - 1;
  }

  /** A read was asked for. */
  readAsked(context: number): void {
    this.reads.set(context, this.commits);
  }

  started(member: SimulatedMember, raft: Raft): void {
    must(raft.term >= member.hardState.term, 'R8: the term survives a restart');
    member.seen.term = raft.term;
    member.seen.commit = raft.log.commit;
  }

  /** What a member wants done; before it is done. */
  sees(
    members: ReadonlyMap<number, SimulatedMember>,
    member: SimulatedMember,
    raft: Raft,
    { messages, write, reads }: Effects,
    nowMs = 0,
  ): void {
    const led = member.seen.leadership === raft.leadership;
    this.checkRole(member, raft);
    this.checkLeases(members, nowMs);
    this.checkProgress(member, raft);
    if (write !== undefined) this.checkWrite(raft, write, led);
    this.checkCommit(members, member, raft, write);
    for (const message of messages) this.checkMessage(members, member, raft, message);
    for (const { context, index } of reads) {
      must(index >= this.reads.get(context)!, 'R17: a read sees what was committed before it');
      this.confirmedReads++;
    }
  }

  /** A write has reached the disk. */
  stored(member: SimulatedMember): void {
    const { term, vote } = member.hardState;
    const key = `${member.id}@${term}`;
    if (vote === 0) return;
    must((this.votes.get(key) ?? vote) === vote, 'R2: one vote a term');
    this.votes.set(key, vote);
  }

  private checkRole(member: SimulatedMember, raft: Raft): void {
    must(raft.term >= member.seen.term, 'R8: terms do not decrease');
    member.seen.term = raft.term;
    const campaigns = raft.role === 'candidate' || raft.role === 'preCandidate';
    if (campaigns) {
      const { configuration, configurationIndex, commit } = raft.log;
      const before =
        configurationIndex > commit
          ? raft.log.configurationAt(configurationIndex - 1)
          : configuration;
      const votes = isVoter(configuration, raft.id) || isVoter(before, raft.id);
      must(votes, 'R15: only voters campaign');
    }
    if (raft.role !== 'leader' || this.leaders.get(raft.term) === raft.id) return;
    must(!this.leaders.has(raft.term), 'R1: a term has one leader');
    must(!this.termsWritten.has(raft.term), 'R13: no entry of a term before it has a leader');
    this.leaders.set(raft.term, raft.id);
    this.newestTerm = Math.max(this.newestTerm, raft.term);
    for (let i = raft.log.baseIndex + 1; i <= this.commits; i++) {
      // It may have been elected late, by votes that were long on their way.
      const later = this.committed[i]! >= raft.term;
      const has = raft.log.termAt(i) === this.committed[i];
      must(later || has, 'R4: a leader has what was committed in earlier terms');
    }
    if (raft.configuration.outgoing.length > 0) this.probes.add('leader of a joint configuration');
  }

  /** Also of a leader that sleeps: it may wake in the middle of a read. */
  private checkLeases(members: ReadonlyMap<number, SimulatedMember>, nowMs: number): void {
    for (const { raft, clockRate } of members.values()) {
      if (raft?.leadership === undefined || raft.term >= this.newestTerm) continue;
      const isOver = raft.leadership['leaseUntil'] <= nowMs * clockRate;
      must(isOver, 'R18: nobody is elected while a lease lasts');
    }
  }

  private checkProgress(member: SimulatedMember, raft: Raft): void {
    const { leadership } = raft;
    if (leadership === undefined) return;
    if (member.seen.leadership !== leadership) {
      member.seen.leadership = leadership;
      member.seen.matches.clear();
    }
    const { matches } = member.seen;
    for (const [id, { match, next, mode, inflights }] of leadership.progress) {
      must(match >= (matches.get(id) ?? 0), 'R20: match does not decrease');
      must(match < next && inflights.count <= 3, 'R20: match < next, and the window has a limit');
      matches.set(id, match);
      if (mode === 'snapshot') this.probes.add('member waits for a snapshot');
      if (inflights.full) this.probes.add('full window');
    }
    for (const id of matches.keys()) if (!leadership.progress.has(id)) matches.delete(id);
    const { bytes } = leadership['uncommitted'];
    must(bytes <= this.uncommittedBytesMax + 1_000, 'R21: uncommitted bytes have a limit');
  }

  private checkWrite(raft: Raft, write: Write, led: boolean): void {
    must(!led || write.truncateTo === undefined, 'R6: a leader only appends');
    if (write.hardState !== undefined && write.hardState.vote !== 0) {
      const { term, vote } = write.hardState;
      const request = this.requests.get(`${vote}@${term}`);
      // What came in the same turn as the vote may have changed the log after it.
      const { batches, truncateTo, snapshot } = write;
      const isAsVoted = batches.length === 0 && truncateTo === undefined && snapshot === undefined;
      if (vote !== raft.id && request !== undefined && isAsVoted) {
        const { lastTerm, last } = raft.log;
        const longer = request.lastTerm === lastTerm && request.lastIndex >= last;
        must(request.lastTerm > lastTerm || longer, 'R12: votes go to logs that are as complete');
      }
    }
    for (const { index, term, count, payload } of write.batches) {
      this.termsWritten.add(term);
      const id =
        payload.length === 0 ? 0 : new DataView(payload.buffer, payload.byteOffset).getFloat64(4);
      for (let i = index; i < index + count; i++) {
        const before = i > index ? term : raft.log.termAt(i - 1);
        if (before === undefined) continue;
        const value = `${id} after ${before}`;
        const same = (this.entries.get(`${i}:${term}`) ?? value) === value;
        must(same, 'R3: logs that agree at an entry agree before it');
        this.entries.set(`${i}:${term}`, value);
      }
    }
    if (raft.role === 'leader') this.checkConfigurations(raft, write);
    if (write.snapshot !== undefined) this.checkSnapshot(raft, write.snapshot);
  }

  /** R14: from one configuration to the next by a joint one, and one change at a time. */
  private checkConfigurations(raft: Raft, write: Write): void {
    const changes = write.batches.filter(isConfigurationEntry);
    for (const { index, payload } of changes) {
      const next = decodeConfiguration(payload);
      const before = index > 1 ? raft.log.configurationAt(index - 1) : next;
      const sameVoters = String(next.voters) === String(before.voters);
      const enters =
        before.outgoing.length === 0 && String(next.outgoing) === String(before.voters);
      const stays = sameVoters && next.outgoing.length === 0;
      must(enters || stays, 'R14: adjacent configurations have majorities that intersect');
      if (enters && next.outgoing.length > 0) this.probes.add('joint configuration');
      if (before.learners.some((it) => next.voters.includes(it))) this.probes.add('promotion');
    }
    const last = changes.at(-1);
    const open = last !== undefined && last.index > raft.log.commit;
    must(!open || changes.length < 2, 'R14: one change at a time');
  }

  /** R16: a snapshot stands for what was committed, with the configuration of that place. */
  private checkSnapshot(raft: Raft, { index, term }: { index: number; term: number }): void {
    this.probes.add('snapshot installed');
    must(this.committed[index] === term, 'R16: a snapshot stands for what was committed');
    const due = describe(this.configurations[index]!);
    must(
      due === describe(raft.log.configurationAt(index)),
      'R16: a snapshot has the configuration of its place',
    );
  }

  private checkCommit(
    members: ReadonlyMap<number, SimulatedMember>,
    member: SimulatedMember,
    raft: Raft,
    write: Write | undefined,
  ): void {
    const { log } = raft;
    const { seen } = member;
    must(log.commit >= seen.commit, 'R8: commit does not decrease');
    must(log.commit <= log.last, 'R10: commit within the log');
    must(log.baseIndex <= log.snapshotIndex, 'R10: no entry is missing behind the snapshot');
    must(log.snapshotIndex <= log.commit, 'R10: snapshots stand for what is committed');
    if (log.commit > seen.commit && raft.role === 'leader') {
      must(log.termAt(log.commit) === raft.term, 'R7: only entries of the own term are counted');
    }
    for (let i = Math.max(seen.commit, log.baseIndex) + 1; i <= log.commit; i++) {
      const term = log.termAt(i)!;
      if (this.committed[i] === undefined) {
        const holds = (id: number): boolean => members.get(id)?.holds(i, term) === true;
        must(i === this.committed.length, 'R5: entries are committed in order');
        must(this.isQuorum(raft, write, holds), 'R9: committed means durable on a majority');
        this.committed[i] = term;
        this.configurations[i] = log.configurationAt(i);
      }
      must(this.committed[i] === term, 'R5: all agree on what is committed');
    }
    seen.commit = log.commit;
  }

  /** By the configuration that was in force when the leader committed: what came in the same turn is appended behind it. */
  private isQuorum(
    { log }: Raft,
    write: Write | undefined,
    holds: (id: number) => boolean,
  ): boolean {
    const { configuration, configurationIndex } = log;
    const isNew = write?.batches.some((it) => it.index === configurationIndex) === true;
    const inForce = isNew ? log.configurationAt(configurationIndex - 1) : configuration;
    if (inForce.outgoing.length > 0) this.probes.add('commit by two majorities');
    return hasQuorum(inForce, holds) || hasQuorum(configuration, holds);
  }

  private checkMessage(
    members: ReadonlyMap<number, SimulatedMember>,
    member: SimulatedMember,
    raft: Raft,
    message: Message,
  ): void {
    const { hardState } = member;
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
      const asked = members.get(message.to)?.raft;
      if (asked?.leadership === undefined || asked.term !== message.term) return;
      const term = asked.log.termAt(message.index);
      const isGone = message.index < asked.log.baseIndex;
      const agrees = term !== undefined && member.holds(message.index, term);
      must(isGone || agrees, 'R3: what is acknowledged to a leader is as the leader has it');
    }
  }
}

function describe({ voters, outgoing, learners }: Configuration): string {
  return `${voters} (${outgoing}) ${learners}`;
}
