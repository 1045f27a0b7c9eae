import { CutPlanner, type WaitingPart, WaitingParts } from '../../framework/log/core/index.ts';
import { ParkedParts } from '../../framework/log/storage-node/parked-parts.ts';
import { LogStreamReplica } from '../../framework/log/storage-node/replica.ts';
import { type PlantedDefect, replace } from './planted-defect.ts';

/** What a planner keeps to itself. */
interface Inside {
  waitingOf(logStreamId: number): readonly WaitingPart[];
}

const planner = CutPlanner.prototype as unknown as Inside;

/** Has replicas tell something else of the parts that wait in their logs. */
function tell(
  change: (replica: LogStreamReplica, waiting: readonly WaitingPart[]) => readonly WaitingPart[],
): () => void {
  const { get } = Object.getOwnPropertyDescriptor(LogStreamReplica.prototype, 'report')!;
  const define = (by: (this: LogStreamReplica) => unknown): void => {
    Object.defineProperty(LogStreamReplica.prototype, 'report', { get: by, configurable: true });
  };
  define(function () {
    const report = get!.call(this);
    return { ...report, waiting: change(this, report.waiting ?? []) };
  });
  return () => define(get!);
}

/** Ways to tear atomic appends apart, or to say what is not so of them: each breaks it for everybody until what it returns is called. */
export const ATOMIC_MUTANTS: Readonly<Record<string, PlantedDefect>> = {
  'parts are cut like other batches': () => replace(planner, 'waitingOf', () => []),
  'each part stands for itself': () => {
    const { waitingOf } = planner;
    return replace(planner, 'waitingOf', function (this: Inside, id) {
      return waitingOf.call(this, id).map((it) => ({ ...it, logStreams: [id] }));
    });
  },
  'only the primary tells what waits': () =>
    tell((replica, waiting) => (replica.core.isPrimary ? waiting : [])),
  'what is cut off is told as if it waited': () => replace(WaitingParts.prototype, 'cut', () => {}),
  'a part is acknowledged when it is parked': () => {
    const { add } = ParkedParts.prototype;
    return replace(ParkedParts.prototype, 'add', function (this: ParkedParts, part) {
      part.sink.acknowledge(part.sequence, 1, 1, 1, false);
      add.call(this, { ...part, sink: { acknowledge: () => {}, fail: () => {} } });
    });
  },
};
