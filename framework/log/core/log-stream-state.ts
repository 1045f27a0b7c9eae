import type { Epoch, Version } from '../../base/index.ts';
import { CommitHistory } from './commit-history.ts';

export interface InitialMember {
  readonly node: number;
  readonly disk: string;
}

export interface LogStreamState {
  readonly id: number;
  readonly topicId: number;
  /** Storage nodes that are to hold it, in order of preference as primary. */
  replicas: number[];
  /** Those of them that make up the current epoch, the primary first. */
  members: number[];
  /**
   * The disks of all members that the epoch began with: of so many, enough hold each record that it
   * ordered.
   */
  initialMembers: InitialMember[];
  /** How many replicas it is to have. It may have others meanwhile. */
  replicationFactor: number;
  /** Those of its replicas that were given to it while it went on, and have not been members since. */
  joining: number[];
  /** Those of its replicas that go as soon as all others are members; an order to remove them. */
  leaving: number[];
  /** The storage node that an operator prefers as its primary; 0: none. */
  preferred: number;
  /** The process that may append in the current epoch: its node may have been started again since. */
  primaryProcess: string;
  epoch: Epoch;
  sealed: boolean;
  /** It stays sealed until an operator opens it. */
  sealedByOperator: boolean;
  /** Grows with each of its changes but cuts: a command made for another revision is refused. */
  revision: number;
  /** What its last change was and who made it, for those who are refused. */
  changed: string;
  /** LLSN of the last record ordered; 0 for none. */
  end: number;
  /** GLSN of that record. */
  lastGlsn: number;
  /** Number of the last commit. */
  version: Version;
  /** The fencing token: see the command `fence`. 0: it was never fenced. Never falls. */
  fence: number;
  /** The last commits, kept until every member has them on disk. */
  history: CommitHistory;
}

export type WithoutHistory = Omit<LogStreamState, 'history'>;

/** Without its history, which is copied separately. */
export function copyOfLogStream({ history: _, ...stream }: LogStreamState): WithoutHistory {
  const { replicas, members, joining, leaving, initialMembers } = stream;
  return {
    ...stream,
    joining: [...joining],
    leaving: [...leaving],
    replicas: [...replicas],
    members: [...members],
    initialMembers: [...initialMembers],
  };
}

/**
 * It opens like any sealed one, when its replicas say that they hold all of it: so one that has lost its
 * disk is never taken for a new one.
 */
export function newLogStream(
  id: number,
  topicId: number,
  replicas: readonly number[],
): LogStreamState {
  return {
    id,
    topicId,
    replicas: [...replicas],
    members: [...replicas],
    replicationFactor: replicas.length,
    joining: [],
    leaving: [],
    preferred: 0,
    initialMembers: [],
    primaryProcess: '',
    epoch: 0,
    sealed: true,
    sealedByOperator: false,
    revision: 0,
    changed: 'made',
    end: 0,
    lastGlsn: 0,
    version: 0,
    fence: 0,
    history: new CommitHistory(id),
  };
}

/** The replicas that are not about to go. */
export function stayingOf({ replicas, leaving }: LogStreamState): number[] {
  return replicas.filter((it) => !leaving.includes(it));
}

/** What a command that follows from a log stream's state names of it. */
export interface Conditions {
  /** The revision from which it follows: it is refused when that has changed since. Without: whatever it is. */
  readonly revision?: number;
  /** Who asks, as in "by the repair of member 2"; without it, an operator. */
  readonly by?: string;
}

/** The fields of {@link Conditions} in a message. */
export function conditionsOf({
  revision,
  by,
}: {
  revision: number | null;
  by: string;
}): Conditions {
  return { ...(revision === null ? {} : { revision }), ...(by === '' ? {} : { by }) };
}

/** Takes note of a change, for those who are refused because of it. */
export function revise(stream: LogStreamState, what: string, by: string | undefined): void {
  stream.revision++;
  stream.changed = `${what} by ${by ?? 'an operator'}`;
}
