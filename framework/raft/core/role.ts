import type { LogIndex, Term } from '../../base/index.ts';
import type { Configuration } from './configuration.ts';
import type { Fetch } from './effects.ts';
import type { EntryBatch } from './entry-batch.ts';
import type { RaftLog } from './log.ts';
import type { Outgoing, VoteRequest } from './message.ts';
import type { RaftOptions } from './raft-options.ts';
import type { ConfirmedRead } from './read-rounds.ts';

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

/**
 * The log as the roles see it. They read it, and move `commit` on by `commitTo`; whatever changes its entries goes
 * through {@link RoleContext}, which has the same change written to the disk.
 */
export type RoleLog = Readonly<
  Omit<RaftLog, 'append' | 'truncate' | 'reset' | 'compact' | 'begin' | 'identity'>
>;

/**
 * What follower, candidate and leader see of the member whose role they are. The fields are `Raft`'s alone to write:
 * a role changes them by calling what is below.
 */
export interface RoleContext {
  readonly options: RaftOptions;
  readonly id: number;
  readonly log: RoleLog;
  /** The newest configuration in the log, committed or not. */
  readonly configuration: Configuration;
  readonly role: Role;
  readonly term: Term;
  readonly vote: number;
  readonly leader: number;
  readonly votes: ReadonlyMap<number, boolean>;
  readonly electionElapsed: number;
  readonly disqualified: boolean;
  readonly now: number;

  /** Sends a message that promises nothing. */
  send(message: Outgoing): void;
  /** Sends a message once everything that changed up to now is durable. MUST be used for whatever promises that. */
  sendDurable(message: Outgoing): void;
  /** Has entries read from the disk for a member. */
  fetch(request: Fetch): void;
  confirmReads(reads: readonly ConfirmedRead[]): void;

  /** Appends to the log, and has it written. */
  append(batch: EntryBatch): void;
  /** Drops the entries after `last`, which MUST NOT be committed, here and on the disk. */
  truncate(last: LogIndex): void;
  /** Starts the log anew after a snapshot that has arrived, here and on the disk. */
  reset(index: LogIndex, term: Term, configuration: Configuration): void;

  /** Counts `electionElapsed` from 0: the leader was heard, a vote was given, or a check of the quorum begins. */
  restartElectionElapsed(): void;
  /** Whether the vote of this term, or of the next one in a pre-vote, may go to the asker. */
  canVoteFor(request: VoteRequest): boolean;
  /** Gives the vote of this term, which it MUST be free to give, and has that written. */
  voteFor(member: number): void;
  /** Takes note of an answer to the campaign that is under way; the first one of each member counts. */
  count(member: number, granted: boolean): void;
  /** `term` MUST NOT be below the present one; `leader` is 0 where it is not known. */
  becomeFollower(term: Term, leader: number): void;
  /** Asks around whether an election could be won; changes nothing that lasts (thesis §9.6). */
  becomePreCandidate(): void;
  /** Enters the next term, and votes for itself in it. */
  becomeCandidate(): void;
  /** MUST be called by a candidate that a quorum of its term voted for, only. */
  becomeLeader(): void;
}
