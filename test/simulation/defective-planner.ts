import {
  type CutEntry,
  CutPlanner,
  type LogStreamState,
  needed,
  type Report,
} from '../../framework/log/core/index.ts';
import type { DefectiveMetadata } from './defective-metadata.ts';

/** Ways to break the planner's part of the protocol, to see that the checks find them. */
export type PlannerDefect =
  | 'quorumOfTheHeard'
  | 'reportsWithoutEpoch'
  | 'pipelineBaseKept'
  | 'ackWhenPrimaryDurable';

/** A planner that lacks a check, or several, and tells defective metadata what it proposes. */
export class DefectivePlanner extends CutPlanner {
  private readonly proposedTo: DefectiveMetadata;
  private readonly defects: ReadonlySet<PlannerDefect>;

  constructor(
    metadata: DefectiveMetadata,
    defects: ReadonlySet<PlannerDefect>,
    earlier?: DefectivePlanner,
  ) {
    super(metadata);
    this.proposedTo = metadata;
    this.defects = defects;
    // Believes that what an earlier leader proposed will come.
    if (!defects.has('pipelineBaseKept') || earlier === undefined) return;
    for (const [id, base] of earlier.proposed) this.proposed.set(id, base);
  }

  override plan(): CutEntry[] {
    const entries = super.plan();
    this.proposedTo.choose(entries);
    return entries;
  }

  protected override acknowledgedEnd(stream: LogStreamState, ends: number[]): number {
    if (this.defects.has('ackWhenPrimaryDurable')) return Math.max(0, ...ends);
    if (this.defects.has('quorumOfTheHeard')) {
      const { acknowledge } = this.proposedTo.topics.get(stream.topicId)!;
      return ends.sort((a, b) => b - a)[needed(ends.length, acknowledge) - 1] ?? 0;
    }
    const end = super.acknowledgedEnd(stream, ends);
    const base = this.proposed.get(stream.id);
    const isOfEarlier = base !== undefined && base.epoch !== stream.epoch;
    const keeps = this.defects.has('pipelineBaseKept') && isOfEarlier && end > 0;
    return keeps ? Math.max(end, base.end) : end;
  }

  protected override counts(stream: LogStreamState, report: Report): boolean {
    const epoch = this.defects.has('reportsWithoutEpoch') ? stream.epoch : report.epoch;
    return super.counts(stream, { ...report, epoch });
  }
}
