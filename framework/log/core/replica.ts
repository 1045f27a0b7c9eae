import { assert, type Epoch, type Version } from '../../base/index.ts';
import type { ReplicaState, Report } from './cut-planner.ts';
import {
  nextStage,
  type ReplicaEvent,
  type ReplicaStage,
  reportedState,
  STAGES,
} from './replica-stage.ts';

/** What the metadata repository wants of a replica. Level-triggered: the newest one counts. */
export interface ReplicaAssignment {
  readonly epoch: Epoch;
  readonly sealed: boolean;
  /** When sealed: the LLSN at which the log stream ends. */
  readonly end: number;
  /** The newest commit of the log stream. */
  readonly version: Version;
  /** Storage nodes of the epoch, the primary first. */
  readonly members: readonly number[];
  /** The process that may append in the epoch. */
  readonly primaryProcess: string;
}

/** What a replica finds on its disk when its process starts. */
export interface Recovered {
  /** The configuration that it had durably taken over; 0: none. */
  readonly epoch: Epoch;
  readonly sealed: boolean;
  readonly end: number;
  readonly committedEnd: number;
  readonly version: Version;
}

/**
 * What a replica must do next to come closer to its assignment. `cut` and `adopt` are done before
 * anything else is asked; the others state a condition that lasts.
 */
export type Step =
  /** Drop all records after `end`, durably; then call `wasTruncated`. */
  | { readonly kind: 'truncate'; readonly end: number }
  /** Write epoch and sealed flag durably; then call `hasAdopted`. */
  | { readonly kind: 'adopt'; readonly epoch: Epoch; readonly sealed: boolean }
  /** Fetch what is committed from another replica, up to the sealed end or for ever. */
  | { readonly kind: 'fetchCommitted' }
  /** Follow all that the primary of the epoch has. */
  | { readonly kind: 'followPrimary' }
  | { readonly kind: 'none' };

/** What became of a commit. */
export type CommitOutcome = 'applied' | 'old' | 'waiting' | 'gap';

export interface ReplicaCommit {
  readonly epoch: Epoch;
  readonly version: Version;
  readonly llsn: number;
  readonly count: number;
}

/**
 * One replica of a log stream, as far as the ordering protocol goes: epochs, roles and ends. Pure:
 * whoever drives it does the writing and the fetching, and says when it is done.
 *
 * ```
 *   1 … committedEnd … durableEnd … end        (durableEnd may be below committedEnd: under a
 *   ordered          on disk      written       majority the others can have it first)
 * ```
 *
 * Where it stands follows from what it was told last and what it has durably taken over; {@link STAGES} has every
 * stage, what it asks for and where each event leads. Without those that are final:
 *
 * | stage | reported as | asks for | ends with |
 * |---|---|---|---|
 * | unassigned | failed | nothing | the first assignment |
 * | sealing | sealing; alone, and less than was ordered: damaged | cut, then fetchCommitted, then adopt | sealed, once it holds exactly what was ordered |
 * | sealed | sealed | nothing | the next epoch |
 * | opening | sealing | adopt | open, or lacking: it does not hold the sealed end |
 * | open | open | followPrimary; a primary: nothing | the next seal |
 * | restarted | restarted | nothing | the next seal |
 * | learning | learning | cut, then fetchCommitted | an assignment that makes it a member, or seals |
 * | lacking | learning; alone: damaged | cut, then fetchCommitted | the next seal |
 *
 * A newer assignment may come at any stage, also one that skips epochs.
 */
export class ReplicaCore {
  readonly node: number;
  private readonly process: string;
  epoch: Epoch;
  sealed: boolean;
  end: number;
  durableEnd: number;
  committedEnd: number;
  version: Version;
  protected stage: ReplicaStage = 'unassigned';
  private assignment: ReplicaAssignment | undefined;
  /** The epoch that this process has opened: a primary appends in no other. */
  protected openedEpoch: Epoch = 0;
  /** It should hold the beginning of its epoch, and does not. */
  private lostData = false;
  /** Commits before the last one that came are not here. */
  private missesCommits = false;
  /** The wanted epoch for which everything after `committedEnd` is known to be of other replicas' commits. */
  private cleanFor: Epoch = 0;

  /** `process`: identity of this run of the storage node, new for every start. */
  constructor({ node, process }: { node: number; process: string }, recovered: Recovered) {
    this.node = node;
    this.process = process;
    this.epoch = recovered.epoch;
    this.sealed = recovered.sealed;
    this.end = recovered.end;
    this.durableEnd = recovered.end;
    this.committedEnd = recovered.committedEnd;
    this.version = recovered.version;
  }

  /** Takes a newer assignment. False, without effect: it is older than what is known, or on disk. */
  assign(assignment: ReplicaAssignment): boolean {
    const older = (known: { epoch: Epoch; sealed: boolean }): boolean =>
      assignment.epoch < known.epoch ||
      (assignment.epoch === known.epoch && known.sealed && !assignment.sealed);
    if (older(this) || (this.assignment !== undefined && older(this.assignment))) return false;
    this.assignment = assignment;
    this.meet(this.comparison(assignment));
    return true;
  }

  /** Whether it was told what it is for: before that it has nothing to report. */
  get assigned(): boolean {
    return this.assignment !== undefined;
  }

  /** The disk failed, or what was durable on it is damaged. Final: it serves and reports nothing from here on. */
  fail(how: 'failed' | 'damaged'): void {
    this.meet(how === 'failed' ? 'fail' : 'damage');
  }

  get state(): ReplicaState {
    const wanted = this.assignment;
    if (wanted?.members.length !== 1) return reportedState(this.stage, 'someHave');
    // What was ordered of the only member, that member had.
    const lacks = this.end < wanted.end || this.missesCommits;
    const hasLost = lacks && wanted.members[0] === this.node;
    return reportedState(this.stage, hasLost ? 'lost' : 'noneHave');
  }

  /** Whether it may give LLSNs to new records. */
  get isPrimary(): boolean {
    return this.stage === 'open' && this.assignment!.members[0] === this.node;
  }

  /** What to do next; ask again whenever something has been done or has changed. */
  next(): Step {
    const step = this.nextStep();
    assert(STAGES[this.stage].steps.includes(step.kind), `${this.stage} asks for ${step.kind}`);
    return step;
  }

  /** Appends `count` records; the LLSN of the first. Only for a primary. */
  append(count: number): number {
    assert(this.isPrimary, 'only the primary of an open epoch appends');
    const llsn = this.end + 1;
    this.end += count;
    return llsn;
  }

  /** Records that another replica sent, from LLSN `llsn` on. False: they do not continue this log. */
  receive(llsn: number, count: number): boolean {
    if (llsn !== this.end + 1) return false;
    this.end += count;
    return true;
  }

  wasWritten(durableEnd: number): void {
    this.durableEnd = Math.max(this.durableEnd, Math.min(durableEnd, this.end));
  }

  wasTruncated(end: number): void {
    assert(end >= this.committedEnd, 'what is committed is never cut off');
    this.end = end;
    this.durableEnd = Math.min(this.durableEnd, end);
  }

  hasAdopted(epoch: Epoch, sealed: boolean): void {
    assert(epoch >= this.epoch, 'epochs only grow');
    this.epoch = epoch;
    this.sealed = sealed;
    this.lostData = false;
    // Two processes may believe to be this node: the epoch names the one that its members know.
    if (!sealed && this.assignment?.primaryProcess === this.process) this.openedEpoch = epoch;
    if (this.assignment !== undefined) this.meet(this.comparison(this.assignment));
  }

  /** Begins anew after a head that was trimmed everywhere (the source of a fetch said so). */
  restartAt(
    log: Pick<Recovered, 'end' | 'committedEnd' | 'version'> & { durableEnd: number },
  ): void {
    assert(!this.isPrimary, 'a primary keeps all that it gave LLSNs to');
    this.end = log.end;
    this.durableEnd = log.durableEnd;
    this.committedEnd = log.committedEnd;
    this.version = log.version;
    this.missesCommits = false;
  }

  /**
   * Takes a commit: `applied` moves the committed end; `old` was taken before; `gap` means that
   * earlier commits are missing; `waiting` that its records are not here yet.
   */
  commit(commit: ReplicaCommit): CommitOutcome {
    if (commit.version <= this.version) return 'old';
    // It may begin before the committed end where this log begins behind a head that was trimmed.
    const continues = commit.version === this.version + 1 && commit.llsn <= this.committedEnd + 1;
    if (!continues) {
      this.missesCommits = true;
      return 'gap';
    }
    const end = commit.llsn + commit.count - 1;
    if (end > this.end || this.isForeign(commit)) return 'waiting';
    this.missesCommits = false;
    this.version = commit.version;
    this.committedEnd = Math.max(this.committedEnd, end);
    return 'applied';
  }

  /** What it tells the metadata repository. */
  report(logStreamId: number, persistedVersion: Version): Report {
    const { epoch, durableEnd: end, state } = this;
    return { logStreamId, epoch, end, persistedVersion, state };
  }

  /** Whether a backup that asks by `epoch` may follow this replica. */
  serves(epoch: Epoch): boolean {
    return this.isPrimary && epoch === this.epoch;
  }

  /**
   * Up to here a replica that fetches what is committed may be served: what lies after it may be of an
   * epoch in which it was never ordered.
   */
  get servableEnd(): number {
    return this.committedEnd;
  }

  /** Whether a commit is of another epoch than the records that would be taken for those it names. */
  private isForeign(commit: ReplicaCommit): boolean {
    if (commit.epoch === this.epoch || this.end <= this.committedEnd) return false;
    return this.cleanFor === 0 || this.cleanFor !== this.assignment?.epoch;
  }

  protected meet(event: ReplicaEvent): void {
    this.stage = nextStage(this.stage, event);
  }

  /** What is wanted, against what is durable. */
  private comparison(wanted: ReplicaAssignment): ReplicaEvent {
    const isTaken = this.epoch === wanted.epoch && this.sealed === wanted.sealed;
    if (wanted.sealed) return isTaken ? 'isSealed' : 'seal';
    if (!wanted.members.includes(this.node)) return 'learn';
    if (this.lostData) return 'lacks';
    if (!isTaken) return 'open';
    const isPrimary = wanted.members[0] === this.node;
    return isPrimary && this.openedEpoch !== this.epoch ? 'isOpenedElsewhere' : 'isOpen';
  }

  private nextStep(): Step {
    const wanted = this.assignment;
    if (wanted === undefined) return { kind: 'none' };
    switch (this.stage) {
      case 'sealing':
        return this.nextWhenSealing(wanted);
      case 'opening':
        return this.nextWhenOpening(wanted);
      case 'learning':
      case 'lacking':
        return this.nextWhenLearning(wanted);
      case 'open':
        return { kind: this.isPrimary ? 'none' : 'followPrimary' };
      default:
        return { kind: 'none' };
    }
  }

  private nextWhenSealing(wanted: ReplicaAssignment): Step {
    if (this.hasForeignSuffix(wanted)) return { kind: 'truncate', end: this.committedEnd };
    // The others have gone on in the epoch that begins there, and it got some of that: it will be told.
    if (this.committedEnd > wanted.end) return { kind: 'fetchCommitted' };
    if (this.end > wanted.end) return { kind: 'truncate', end: wanted.end };
    const whole = this.durableEnd >= wanted.end && this.committedEnd >= wanted.end;
    if (!whole) return { kind: 'fetchCommitted' };
    return { kind: 'adopt', epoch: wanted.epoch, sealed: true };
  }

  private nextWhenOpening(wanted: ReplicaAssignment): Step {
    // An epoch begins with members that hold the sealed end. Whoever does not has lost it: it takes no
    // part in this epoch, and gets from the others what is committed, to be whole for the next one.
    if (this.sealed && this.epoch === wanted.epoch - 1) {
      return { kind: 'adopt', epoch: wanted.epoch, sealed: false };
    }
    this.lostData = true;
    this.meet('lacks');
    return this.nextWhenLearning(wanted);
  }

  private nextWhenLearning(wanted: ReplicaAssignment): Step {
    if (this.hasForeignSuffix(wanted)) return { kind: 'truncate', end: this.committedEnd };
    return { kind: 'fetchCommitted' };
  }

  /** What an older epoch left uncommitted may differ from what was ordered in its place. */
  private hasForeignSuffix(wanted: ReplicaAssignment): boolean {
    if (this.epoch === wanted.epoch || this.cleanFor === wanted.epoch) return false;
    if (this.end > this.committedEnd) return true;
    // What is fetched from now on was committed, even where its commit is still to come.
    this.cleanFor = wanted.epoch;
    return false;
  }
}
