import { assert, type LogIndex, type Term } from '../../base/index.ts';
import { campaign, onVoteResponse } from './candidate.ts';
import { type Configuration, isVoter, type MemberChange } from './configuration.ts';
import { type Effects, type Fetch, PendingEffects } from './effects.ts';
import type { EntryBatch } from './entry-batch.ts';
import { onAppend, onCommit, onHeartbeat, onSnapshot } from './follower.ts';
import { Leadership } from './leader.ts';
import { type LogShape, RaftLog } from './log.ts';
import type { Message, Outgoing, VoteRequest } from './message.ts';
import { type HardState, Persistence } from './persistence.ts';
import type { RaftOptions } from './raft-options.ts';
import type { ConfirmedRead } from './read-rounds.ts';
import type { Role, RoleContext } from './role.ts';
import { onVote } from './voter.ts';

/**
 * One member of a Raft group: messages, ticks and finished writes in; messages and writes out. It
 * does no I/O and knows no clock. After any number of calls, take {@link effects} and carry them out.
 *
 * From "In Search of an Understandable Consensus Algorithm" (the paper) and Ongaro's thesis.
 */
export class Raft implements RoleContext {
  readonly options: RaftOptions;
  readonly id: number;
  /** Written by this class alone, so that each change of it goes to the disk too; roles only move its commit index. */
  readonly log: RaftLog;
  /** `leader` exactly while {@link leadership} is set. */
  role: Role = 'follower';
  /** Never decreases, and is durable before any message that carries it as a promise. */
  term: Term;
  /** Whom this member voted for in `term`, 0 for nobody. Once it names a member, it stays until the term ends. */
  vote: number;
  /** The leader of `term` as far as known, 0 for unknown. Never two members in one term. */
  leader = 0;
  /** Answers of the campaign that is under way: the first one of each member. Means nothing in other roles. */
  votes = new Map<number, boolean>();
  /** What the leader of `term` knows; set exactly while this member leads. */
  leadership: Leadership | undefined;
  /** Ticks since the leader was heard from, or since the campaign or the quorum check began. */
  electionElapsed = 0;
  /**
   * Neither votes nor campaigns: it is not certain that its disk is the one with which it voted before. Written by
   * whoever introduces members to each other, from outside.
   */
  disqualified = false;
  /**
   * Monotonic time in ms, never decreasing. Only leases look at it; whoever grants leases sets it, from outside,
   * before each input.
   */
  now = 0;
  /** Ticks since this member started, up to an election timeout. */
  private uptime = 0;
  readonly persistence = new Persistence();
  /** The count of `electionElapsed` at which a follower or candidate campaigns; drawn anew with each timer. */
  private electionDeadline = 0;
  private readonly pending = new PendingEffects();

  constructor(options: RaftOptions, hardState: HardState, shape: LogShape) {
    assert(options.id > 0 && options.electionTicks > options.heartbeatTicks, 'sane raft options');
    this.options = options;
    this.id = options.id;
    this.log = new RaftLog(shape, options.recentBytesMax);
    this.term = Math.max(hardState.term, this.log.lastTerm);
    this.vote = this.term === hardState.term ? hardState.vote : 0;
    this.resetElectionTimer();
    // Who just started may ask early: a pre-vote disturbs nobody, but a lease may rest on its silence.
    if (options.leaseMs === undefined) {
      this.electionDeadline = 1 + options.random.below(options.electionTicks >> 1);
    }
  }

  /** Time passed: one tick. Returns whether that changed anything: whether there may be effects. */
  tick(): boolean {
    this.electionElapsed++;
    if (this.uptime < this.options.electionTicks) this.uptime++;
    if (this.leadership !== undefined) return this.leadership.tick();
    if (this.electionElapsed < this.electionDeadline || !this.promotable) return false;
    campaign(this, 'pre');
    return true;
  }

  /** So many ticks from now {@link tick} does something, if nothing happens before; 1 at least. */
  get ticksUntilDue(): number {
    if (this.leadership !== undefined) return this.leadership.ticksUntilDue;
    if (!this.promotable) return this.options.electionTicks;
    return Math.max(1, this.electionDeadline - this.electionElapsed);
  }

  /** Who belongs to the group, as far as this member knows. */
  get configuration(): Configuration {
    return this.log.configuration;
  }

  /**
   * Only a voter may campaign: one that is removed by an entry that is not committed too, because it may
   * be needed to commit just that (thesis §4.2.2).
   */
  get promotable(): boolean {
    if (this.disqualified || this.options.abstains?.()) return false;
    const { configuration, configurationIndex, commit } = this.log;
    if (isVoter(configuration, this.id)) return true;
    if (configurationIndex <= commit) return false;
    return isVoter(this.log.configurationAt(configurationIndex - 1), this.id);
  }

  /** A message from another member arrived. */
  step(message: Message): void {
    if (message.term > this.term && !this.adopt(message)) return;
    if (message.term < this.term) {
      this.answerStale(message);
      return;
    }
    switch (message.type) {
      case 'vote':
        onVote(this, message);
        break;
      case 'voteResponse':
        // A granted pre-vote carries the next term: with this one it is of an earlier campaign.
        if (!message.pre || !message.granted) onVoteResponse(this, message);
        break;
      case 'append':
        onAppend(this, message);
        break;
      case 'heartbeat':
        onHeartbeat(this, message);
        break;
      case 'commit':
        onCommit(this, message);
        break;
      case 'snapshot':
        onSnapshot(this, message);
        break;
      case 'appendResponse':
        this.leadership?.onAppendResponse(message);
        break;
      case 'heartbeatResponse':
        this.leadership?.onHeartbeatResponse(message);
        break;
      case 'timeoutNow':
        if (this.role === 'follower' && this.promotable) campaign(this, 'transfer');
        break;
    }
  }

  /**
   * Appends entries side by side: their first index, or why not. The payload is kept, not copied.
   */
  propose(payload: Uint8Array, count: number): LogIndex | 'notLeader' | 'full' | 'transferring' {
    return this.leadership === undefined ? 'notLeader' : this.leadership.propose(payload, count);
  }

  /**
   * Changes who belongs to the group (joint consensus, paper §6): the index of the entry that begins the
   * change; the leader ends it automatically. One change at a time: `changing` while another one is not committed, and
   * while the leader has committed nothing in its term.
   */
  changeMembers(
    change: MemberChange,
  ): LogIndex | 'notLeader' | 'changing' | 'full' | 'transferring' {
    return this.leadership === undefined ? 'notLeader' : this.leadership.changeMembers(change);
  }

  /** Asks for a linearizable read; it comes back with `context`. False: this member does not lead. */
  readIndex(context: number): boolean {
    if (this.leadership === undefined) return false;
    this.leadership.read(context);
    return true;
  }

  /**
   * Hands leadership to a member that is, or will soon be, up to date. False: not possible here; to itself
   * it takes back what was begun.
   */
  transferLeadership(to: number): boolean {
    return this.leadership?.transfer(to) ?? false;
  }

  /** All writes up to `sequence` are durable. */
  persisted(sequence: number): void {
    for (const { term, last, messages } of this.persistence.done(sequence)) {
      if (term === this.term && last > 0) this.leadership?.ownWriteDone(last);
      for (const message of messages) this.release(message);
    }
  }

  /** Entries that a {@link Fetch} asked for: none when they are gone, `later` to ask again. */
  provide(to: number, from: LogIndex, batches: readonly EntryBatch[] | 'later'): void {
    this.leadership?.provide(to, from, batches);
  }

  /** A message to `member` was lost for certain. */
  unreachable(member: number): void {
    this.leadership?.unreachable(member);
  }

  /** A snapshot of its own stands for the entries up to `index`; those up to `base` are dropped. */
  compact(index: LogIndex, base: LogIndex): void {
    this.log.compact(index, base);
  }

  /**
   * What is to be done now. To be called after every group of inputs. Members are told at once of commits up to `urgentTo`,
   * of later ones with the next entries: where none come, whoever says so has to call it anew.
   */
  effects(urgentTo: LogIndex = Infinity): Effects {
    const commitUntold = this.leadership?.flush(urgentTo) ?? false;
    return this.pending.take(this.persistence.take(), commitUntold);
  }

  /**
   * The connection to `member` broke. Who follows it looks for another leader soon, instead of waiting
   * for an election timeout: the others decide whether the leader is gone. They lost it at the same moment, so they look one
   * after the other: the first one is mostly elected before the next one's turn, and votes are not split.
   */
  disconnected(member: number): void {
    // A lease relies on nobody looking for another leader before its time.
    if (this.options.leaseMs !== undefined) return;
    if (this.role !== 'follower' || this.leader !== member) return;
    this.leader = 0;
    this.electionElapsed = 0;
    const { electionTicks } = this.options;
    const apart = Math.max(1, electionTicks >> 3);
    this.electionDeadline = Math.min(electionTicks, 1 + this.turnBehind(member) * apart);
  }

  // What follows is for the roles: see RoleContext.

  send(outgoing: Outgoing): void {
    this.pending.send(this.complete(outgoing));
  }

  sendDurable(outgoing: Outgoing): void {
    const message = this.complete(outgoing);
    if (!this.persistence.deferUntilDurable(message)) this.release(message);
  }

  fetch(request: Fetch): void {
    this.pending.fetch(request);
  }

  confirmReads(reads: readonly ConfirmedRead[]): void {
    this.pending.confirmReads(reads);
  }

  append(batch: EntryBatch): void {
    const { configurationIndex } = this.log;
    this.log.append(batch);
    this.persistence.append(batch, this.term);
    if (this.log.configurationIndex !== configurationIndex) this.leadership?.configure();
  }

  truncate(last: LogIndex): void {
    this.log.truncate(last);
    this.persistence.truncate(last);
  }

  reset(index: LogIndex, term: Term, configuration: Configuration): void {
    this.log.reset(index, term, configuration);
    this.persistence.snapshot(index, term);
  }

  restartElectionElapsed(): void {
    this.electionElapsed = 0;
  }

  canVoteFor(request: VoteRequest): boolean {
    if (request.pre && request.term > this.term) return true;
    return this.vote === request.from || (this.vote === 0 && this.leader === 0);
  }

  voteFor(member: number): void {
    this.vote = member;
    this.persistence.hardState({ term: this.term, vote: member });
  }

  count(member: number, granted: boolean): void {
    if (!this.votes.has(member)) this.votes.set(member, granted);
  }

  becomeFollower(term: Term, leader: number): void {
    this.leaveRole();
    this.role = 'follower';
    this.enterTerm(term);
    this.leader = leader;
    this.resetElectionTimer();
  }

  becomePreCandidate(): void {
    this.leaveRole();
    this.role = 'preCandidate';
    this.leader = 0;
    this.votes = new Map();
    this.resetElectionTimer();
  }

  becomeCandidate(): void {
    this.leaveRole();
    this.role = 'candidate';
    this.enterTerm(this.term + 1);
    this.voteFor(this.id);
    this.leader = 0;
    this.votes = new Map();
    this.resetElectionTimer();
  }

  becomeLeader(): void {
    assert(this.role === 'candidate', 'only a candidate becomes leader');
    this.role = 'leader';
    this.leader = this.id;
    this.electionElapsed = 0;
    this.leadership = new Leadership(this);
  }

  private leaveRole(): void {
    if (this.leadership === undefined) return;
    this.pending.dropReads(this.leadership.readRounds.drop());
    this.leadership = undefined;
  }

  private enterTerm(term: Term): void {
    assert(term >= this.term, 'terms do not decrease');
    if (term === this.term) return;
    this.term = term;
    this.vote = 0;
    this.persistence.hardState({ term, vote: 0 });
  }

  /** How many of the others look for a leader before this one when `member` is lost. In each term another one is the first. */
  private turnBehind(member: number): number {
    const { voters, outgoing } = this.configuration;
    const others = [...new Set([...voters, ...outgoing])].filter((it) => it !== member);
    others.sort((a, b) => a - b);
    return (Math.max(0, others.indexOf(this.id)) + this.term) % Math.max(1, others.length);
  }

  private resetElectionTimer(): void {
    const { electionTicks, random } = this.options;
    this.electionElapsed = 0;
    this.electionDeadline = electionTicks + random.below(electionTicks);
  }

  /** A message of a later term: follows it, unless it asks for a vote that is not due. */
  private adopt(message: Message): boolean {
    if (message.type === 'vote') {
      // Stickiness (thesis §4.2.3): who hears a leader does not help to depose it.
      const heard = this.leader !== 0 && this.electionElapsed < this.options.electionTicks;
      if ((heard || this.mayHaveHeard) && !message.transfer) return false;
      if (message.pre) return true;
    }
    if (message.type === 'voteResponse' && message.pre && message.granted) {
      // The answer carries the term that the campaign would be in: it is ours, not theirs.
      if (this.role === 'preCandidate' && message.term === this.term + 1) {
        onVoteResponse(this, message);
      }
      return false;
    }
    const leads =
      message.type === 'append' ||
      message.type === 'heartbeat' ||
      message.type === 'commit' ||
      message.type === 'snapshot';
    this.becomeFollower(message.term, leads ? message.from : 0);
    return true;
  }

  /** Frees a sender whose term is old: a deposed leader, or a member whose pre-vote cannot succeed. */
  private answerStale(message: Message): void {
    if (message.type === 'append' || message.type === 'heartbeat' || message.type === 'snapshot') {
      const nothing = { index: 0, hintIndex: 0, hintTerm: 0 };
      this.sendDurable({ type: 'appendResponse', to: message.from, rejected: true, ...nothing });
    } else if (message.type === 'vote' && message.pre) {
      this.sendDurable({ type: 'voteResponse', to: message.from, pre: true, granted: false });
    }
  }

  /** A lease may rest on what this member answered before it was restarted. */
  private get mayHaveHeard(): boolean {
    return this.options.leaseMs !== undefined && this.uptime < this.options.electionTicks;
  }

  private complete(outgoing: Outgoing): Message {
    return { term: this.term, ...outgoing, from: this.id } as Message;
  }

  private release(message: Message): void {
    if (message.to === this.id) this.step(message);
    else this.pending.send(message);
  }
}
