import { type LogStreamState, type Metadata, needed, type Report } from '../core/index.ts';

/** What the repair of one log stream looks at. */
export interface Surroundings {
  readonly metadata: Metadata;
  /** Milliseconds since a storage node was last alive; 0: it is well. */
  silence(node: number): number;
  report(logStreamId: number, node: number): Report | undefined;
  /** Milliseconds since the log stream was last sealed or opened. */
  settledFor(logStreamId: number): number;
}

export type Repair = { kind: 'seal' } | { kind: 'unseal'; members: number[] };

/** A node that is gone for so long is taken for lost: a restarted process is mostly back sooner. */
const LOST_AFTER_MS = 300;
/** Live replicas that still fetch are waited for so long before a log stream opens without them. */
const LAGGARD_GRACE_MS = 300;
/** A log stream is not sealed again for a learner's sake sooner than this. */
const PROMOTION_GAP_MS = 2_000;
/** A learner that is behind by at most so many records is about to have caught up. */
const NEARLY = 10_000;

/**
 * What a log stream needs to take appends again, or to be whole again; `undefined`: nothing. A pure
 * decision: whoever asks carries it out, and asks again.
 */
export function repairOf(stream: LogStreamState, around: Surroundings): Repair | undefined {
  if (stream.held) return undefined;
  return stream.sealed ? opening(stream, around) : sealing(stream, around);
}

/** Fewer copies than half of the placement are not enough to go on with. */
function membersLeast(stream: LogStreamState): number {
  return Math.ceil(stream.replicas.length / 2);
}

function isLost(node: number, stream: LogStreamState, around: Surroundings): boolean {
  if (around.silence(node) >= LOST_AFTER_MS) return true;
  const state = around.report(stream.id, node)?.state;
  return state === 'failed' || state === 'damaged';
}

/** Gets from the others what it lacks. A member that does so has lost it, and takes no part in the epoch. */
function isLearning(node: number, stream: LogStreamState, around: Surroundings): boolean {
  return around.report(stream.id, node)?.state === 'learning';
}

function sealing(stream: LogStreamState, around: Surroundings): Repair | undefined {
  const alive = stream.replicas.filter((it) => !isLost(it, stream, around));
  if (alive.length < membersLeast(stream)) return undefined;
  const primary = stream.members[0]!;
  const restarted = around.report(stream.id, primary)?.state === 'restarted';
  const gone = isLost(primary, stream, around) || isLearning(primary, stream, around);
  if (restarted || gone) return { kind: 'seal' };

  const { acknowledge } = around.metadata.topics.get(stream.topicId)!;
  const members = stream.members.filter(
    (it) => alive.includes(it) && !isLearning(it, stream, around),
  );
  if (members.length < needed(stream.members.length, acknowledge)) return { kind: 'seal' };

  if (around.settledFor(stream.id) < PROMOTION_GAP_MS) return undefined;
  const caughtUp = alive.some((node) => {
    const end = around.report(stream.id, node)?.end ?? 0;
    return isLearning(node, stream, around) && end + NEARLY >= stream.end;
  });
  return caughtUp ? { kind: 'seal' } : undefined;
}

function opening(stream: LogStreamState, around: Surroundings): Repair | undefined {
  const alive = stream.replicas.filter((it) => !isLost(it, stream, around));
  const whole = alive.filter((node) => {
    const report = around.report(stream.id, node);
    return report?.state === 'sealed' && report.epoch === stream.epoch && report.end === stream.end;
  });
  if (whole.length < membersLeast(stream)) return undefined;
  const laggards = alive.length - whole.length;
  if (laggards > 0 && around.settledFor(stream.id) < LAGGARD_GRACE_MS) return undefined;
  return { kind: 'unseal', members: whole };
}
