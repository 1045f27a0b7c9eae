import { ReplicaReport, ReplicaReportState } from '../wire/gen/log.ts';
import type { ReplicaState, Report } from './core/index.ts';

const STATES: Record<ReplicaState, ReplicaReportState> = {
  open: ReplicaReportState.OPEN,
  sealed: ReplicaReportState.SEALED,
  sealing: ReplicaReportState.SEALING,
  restarted: ReplicaReportState.RESTARTED,
  learning: ReplicaReportState.LEARNING,
  failed: ReplicaReportState.FAILED,
  damaged: ReplicaReportState.DAMAGED,
};

const NAMES = new Map<number, ReplicaState>(
  Object.entries(STATES).map(([name, state]) => [state, name as ReplicaState]),
);

/** A report as storage nodes send it. */
export function reportToWire(report: Report): ReplicaReport {
  return ReplicaReport.create({ ...report, state: STATES[report.state] });
}

/** A report as the leader takes it: one whose state it does not know, of a newer node, counts for nothing. */
export function reportOfWire(wire: ReplicaReport): Report {
  const { logStreamId, epoch, end, persistedVersion } = wire;
  return { logStreamId, epoch, end, persistedVersion, state: NAMES.get(wire.state) ?? 'failed' };
}
