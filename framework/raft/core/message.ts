import type { LogIndex, Term } from '../../base/index.ts';
import type { Configuration } from './configuration.ts';
import type { EntryBatch } from './entry-batch.ts';

interface Envelope {
  readonly from: number;
  readonly to: number;
  /** The sender's term; of a pre-vote the term that it would campaign in. */
  readonly term: Term;
}

/** Asks for a vote; with `pre`, whether it would be given (thesis §9.6). */
export interface VoteRequest extends Envelope {
  readonly type: 'vote';
  readonly pre: boolean;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** The leader asked for this election: voters do not insist on it. */
  readonly transfer: boolean;
}

export interface VoteResponse extends Envelope {
  readonly type: 'voteResponse';
  readonly pre: boolean;
  readonly granted: boolean;
}

/** Entries after `prevIndex`; without any it only asks whether the logs agree there. */
export interface AppendMessage extends Envelope {
  readonly type: 'append';
  readonly prevIndex: LogIndex;
  readonly prevTerm: Term;
  readonly batches: readonly EntryBatch[];
  readonly commit: LogIndex;
}

export interface AppendResponse extends Envelope {
  readonly type: 'appendResponse';
  readonly rejected: boolean;
  /** Accepted: the logs agree up to here, durably. Rejected: `prevIndex` of what is refused. */
  readonly index: LogIndex;
  /** Rejected: the largest index at which the logs may agree, and the term of the entry there. */
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
}

export interface Heartbeat extends Envelope {
  readonly type: 'heartbeat';
  readonly commit: LogIndex;
  /** Number of the read round that an answer confirms; 0 for none. */
  readonly round: number;
}

export interface HeartbeatResponse extends Envelope {
  readonly type: 'heartbeatResponse';
  readonly round: number;
  /** For an election timeout from here on, the sender neither looks for another leader nor helps one: see `leaseMs`. */
  readonly promises: boolean;
}

/** News of the commit index, where no entries are on the way that could carry it. Not answered. */
export interface CommitMessage extends Envelope {
  readonly type: 'commit';
  readonly commit: LogIndex;
}

/** The receiver lacks entries that are gone: it is to start from the snapshot. */
export interface SnapshotMessage extends Envelope {
  readonly type: 'snapshot';
  readonly index: LogIndex;
  /** Term of the entry at `index`. */
  readonly indexTerm: Term;
  /** Who belonged to the group at `index`. */
  readonly configuration: Configuration;
}

/** Campaign now: leadership is handed over (thesis §3.10). */
export interface TimeoutNow extends Envelope {
  readonly type: 'timeoutNow';
}

/** What members tell each other. */
export type Message =
  | VoteRequest
  | VoteResponse
  | AppendMessage
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | CommitMessage
  | SnapshotMessage
  | TimeoutNow;

/** A message before `from` and the sender's term are put on. */
export type Outgoing<M extends Message = Message> = M extends Message
  ? Omit<M, 'from' | 'term'> & { readonly term?: Term }
  : never;
