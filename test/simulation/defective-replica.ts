import {
  type CommitOutcome,
  type Recovered,
  type ReplicaAssignment,
  type ReplicaCommit,
  ReplicaCore,
  type Report,
  type Step,
} from '../../framework/log/core/index.ts';

/** Ways to break a replica's part of the protocol, to see that the checks find them. */
export type ReplicaDefect =
  | 'reportBeforeSync'
  | 'replicateWithoutEpoch'
  | 'openWithoutSync'
  | 'commitLengthOnly'
  | 'commitsWithoutEpoch'
  | 'numberByLatestCut'
  | 'keepSuffixAtUnseal'
  | 'resumeSameEpoch'
  | 'syncFromAnySurvivor';

/** A replica that lacks a check, or several. */
export class DefectiveReplica extends ReplicaCore {
  private readonly defects: ReadonlySet<ReplicaDefect>;
  private wanted: ReplicaAssignment | undefined;

  constructor(
    self: { node: number; process: string },
    recovered: Recovered,
    defects: ReadonlySet<ReplicaDefect>,
  ) {
    super(self, recovered);
    this.defects = defects;
    if (defects.has('resumeSameEpoch') && !recovered.sealed) this.openedEpoch = recovered.epoch;
  }

  override assign(assignment: ReplicaAssignment): boolean {
    const taken = super.assign(assignment);
    if (taken) this.wanted = assignment;
    return taken;
  }

  override next(): Step {
    const step = super.next();
    const { wanted } = this;
    if (wanted?.sealed !== true) return step;
    const adopt: Step = { kind: 'adopt', epoch: wanted.epoch, sealed: true };
    if (step.kind === 'fetchCommitted' && this.defects.has('openWithoutSync')) return adopt;
    if (step.kind !== 'truncate' || !this.defects.has('keepSuffixAtUnseal')) return step;
    const whole = this.durableEnd >= wanted.end && this.committedEnd >= wanted.end;
    return whole ? adopt : { kind: 'fetchCommitted' };
  }

  override commit(commit: ReplicaCommit): CommitOutcome {
    if (this.defects.has('commitLengthOnly')) {
      if (this.committedEnd + commit.count > this.end) return 'waiting';
      this.version = commit.version;
      this.committedEnd += commit.count;
      return 'applied';
    }
    if (this.defects.has('commitsWithoutEpoch')) {
      return super.commit({ ...commit, epoch: this.epoch });
    }
    if (!this.defects.has('numberByLatestCut') || commit.version <= this.version) {
      return super.commit(commit);
    }
    // As if it were the next one, of all up to its end.
    const llsn = Math.min(commit.llsn, this.committedEnd + 1);
    const count = commit.llsn + commit.count - llsn;
    const outcome = super.commit({ ...commit, version: this.version + 1, llsn, count });
    if (outcome === 'applied') this.version = commit.version;
    return outcome;
  }

  override report(logStreamId: number, persistedVersion: number): Report {
    const report = super.report(logStreamId, persistedVersion);
    return this.defects.has('reportBeforeSync') ? { ...report, end: this.end } : report;
  }

  override serves(epoch: number): boolean {
    return this.defects.has('replicateWithoutEpoch') ? this.isPrimary : super.serves(epoch);
  }

  override get servableEnd(): number {
    return this.defects.has('syncFromAnySurvivor') ? this.end : super.servableEnd;
  }
}
