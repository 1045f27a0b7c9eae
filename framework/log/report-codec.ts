import {
  AtomicPart,
  ReplicaReport,
  ReplicaReportState,
  type ReplicaSizes,
  WaitingPart,
} from '../wire/gen/log.ts';
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
export function reportToWire({ parked = [], waiting = [], ...report }: Report): ReplicaReport {
  return ReplicaReport.create({
    ...report,
    state: STATES[report.state],
    parked: parked.map(({ id, logStreams }) =>
      AtomicPart.create({ id, logStreams: [...logStreams] }),
    ),
    waiting: waiting.map(({ id, logStreams, llsn, end }) => {
      const part = AtomicPart.create({ id, logStreams: [...logStreams] });
      return WaitingPart.create({ part, llsn, end });
    }),
  });
}

/** A report as the leader takes it: one whose state it does not know, of a newer node, counts for nothing. */
export function reportOfWire(wire: ReplicaReport): Report {
  const { logStreamId, epoch, end, persistedVersion, parked, waiting } = wire;
  const state = NAMES.get(wire.state) ?? 'failed';
  const report = { logStreamId, epoch, end, persistedVersion, state };
  if (parked.length + waiting.length === 0) return report;
  const parts = waiting.map((it) => ({ ...it.part!, llsn: it.llsn, end: it.end }));
  return { ...report, parked, waiting: parts };
}

/** By log stream. What came without its other half counts for nothing. */
export function sizesOfWire({ logStreams, bytes }: ReplicaSizes): Map<number, number> {
  const known = Math.min(logStreams.length, bytes.length);
  return new Map(logStreams.slice(0, known).map((id, i) => [id, bytes[i]!]));
}
