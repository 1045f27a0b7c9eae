import type { AtomicAppend } from '../../base/index.ts';
import type { Report } from './cut-planner.ts';
import type { MetadataState } from './metadata-state.ts';

/** A part of an atomic append that may enter the log of its log stream, and the storage node that has it parked. */
export interface PartToEnter {
  readonly node: number;
  readonly logStreamId: number;
  /** Of the atomic append. */
  readonly id: number;
}

/** What the leader knows of the storage nodes. */
export interface Heard {
  readonly metadata: MetadataState;
  reportOf(logStreamId: number, node: number): Report | undefined;
  isUp(node: number): boolean;
}

/**
 * Which parts may enter their logs, of the atomic appends that a report mentions: those that are parked while all others
 * are parked too, or in their logs. Until then a part is in nobody's way. That it enters is no decision: whether the
 * append takes effect is decided by the cut.
 */
export function partsToEnter({ parked = [], waiting = [] }: Report, heard: Heard): PartToEnter[] {
  const entering: PartToEnter[] = [];
  for (const { id, logStreams } of [...parked, ...waiting]) {
    const found: PartToEnter[] = [];
    const topicId = heard.metadata.logStreams.get(logStreams[0]!)?.topicId;
    const isComplete = logStreams.every((logStreamId) => {
      const stream = heard.metadata.logStreams.get(logStreamId);
      if (stream === undefined || stream.sealed || stream.topicId !== topicId) return false;
      const node = stream.members[0]!;
      const report = heard.reportOf(logStreamId, node);
      if (report?.state !== 'open' || report.epoch !== stream.epoch) return false;
      // What a node has parked is lost with it.
      if (!heard.isUp(node)) return false;
      // Where they disagree on what belongs to it, they would wait for each other in vain.
      const isIt = (it: AtomicAppend): boolean =>
        it.id === id && String(it.logStreams) === String(logStreams);
      if (report.parked?.some(isIt) !== true) return report.waiting?.some(isIt) === true;
      found.push({ node, logStreamId, id });
      return true;
    });
    if (isComplete) entering.push(...found);
  }
  return entering;
}
