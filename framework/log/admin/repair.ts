import {
  inOrderOfPrimaries,
  type LogStreamState,
  type Metadata,
  needed,
  type Report,
  stayingOf,
} from '../core/index.ts';
import { LOG_TIMES } from '../timing.ts';

/** What the repair of one log stream looks at. */
export interface RepairContext {
  readonly metadata: Metadata;
  /** Milliseconds since a storage node was last alive. */
  unheardForMs(node: number): number;
  report(logStreamId: number, node: number): Report | undefined;
  /** The process of a node that has a link to the leader; empty while it has none. */
  processOf(node: number): string;
  /** Milliseconds since the log stream was last sealed or opened. */
  settledFor(stream: LogStreamState): number;
  /** Milliseconds for which it has waited for the other parts of an atomic append; `undefined`: it does not. */
  stuckFor(stream: LogStreamState): number | undefined;
  /** Whether it may be sealed for the sake of this learner now. */
  mayJoin(stream: LogStreamState, node: number): boolean;
  /** Milliseconds by which a replica lags. */
  lag(stream: LogStreamState, report: Report): number;
  /** The same nodes, those last that had better not be primary. */
  inOrder(stream: LogStreamState, nodes: readonly number[]): number[];
}

export type Repair =
  /** `primary`: the node because of which; `learner`: the one for the sake of which. */
  | { kind: 'seal'; why: string; primary?: number; learner?: number }
  | { kind: 'unseal'; members: number[] };

/** A learner that lags no more than this will have caught up before those who wait for it are done. */
const NEAR_MS = LOG_TIMES.laggardGraceMs;

/**
 * What a log stream needs to take appends again, or to be whole again; `undefined`: nothing. A pure
 * decision: whoever asks carries it out, and asks again.
 */
export function repairOf(stream: LogStreamState, context: RepairContext): Repair | undefined {
  if (stream.sealedByOperator) return undefined;
  return stream.sealed ? opening(stream, context) : sealing(stream, context);
}

/** Whether nothing but an event can make it need something: it is open on all its replicas, and these are well. */
export function isAtRest(stream: LogStreamState, context: RepairContext): boolean {
  if (stream.sealedByOperator) return true;
  if (stream.sealed || stream.members.length < stream.replicas.length) return false;
  if (context.stuckFor(stream) !== undefined) return false;
  return stream.replicas.every((node) => {
    const { state = 'open' } = context.report(stream.id, node) ?? {};
    return state === 'open' && context.processOf(node) !== '';
  });
}

/** Fewer copies than half of those that there are to be are not enough to go on with. One that is new is none yet. */
function membersLeast({ replicas, joining, replicationFactor }: LogStreamState): number {
  return Math.ceil(Math.min(replicationFactor, replicas.length - joining.length) / 2);
}

function isLost(node: number, stream: LogStreamState, context: RepairContext): boolean {
  if (context.unheardForMs(node) >= LOG_TIMES.nodeLostAfterMs) return true;
  const state = context.report(stream.id, node)?.state;
  return state === 'failed' || state === 'damaged';
}

/** Gets from the others what it lacks. A member that does so has lost it, and takes no part in the epoch. */
function isLearning(node: number, stream: LogStreamState, context: RepairContext): boolean {
  return context.report(stream.id, node)?.state === 'learning';
}

function sealing(stream: LogStreamState, context: RepairContext): Repair | undefined {
  const alive = stream.replicas.filter((it) => !isLost(it, stream, context));
  const copies = alive.filter((it) => !stream.joining.includes(it));
  if (copies.length < membersLeast(stream)) return undefined;
  const primary = stream.members[0]!;
  if (isLost(primary, stream, context)) {
    return { kind: 'seal', why: `storage node ${primary}, its primary, is lost`, primary };
  }
  if (context.report(stream.id, primary)?.state === 'restarted') {
    return { kind: 'seal', why: `storage node ${primary}, its primary, was restarted`, primary };
  }
  if (isLearning(primary, stream, context)) {
    return { kind: 'seal', why: `storage node ${primary}, its primary, is rebuilt`, primary };
  }

  const { acknowledge } = context.metadata.topics.get(stream.topicId)!;
  const members = stream.members.filter(
    (it) => alive.includes(it) && !isLearning(it, stream, context),
  );
  const need = needed(stream.members.length, acknowledge);
  if (members.length < need) {
    const why = `${members.length} of ${stream.members.length} members are up, and it takes ${need}`;
    return { kind: 'seal', why };
  }

  if ((context.stuckFor(stream) ?? 0) >= LOG_TIMES.partWaitMaxMs) {
    return { kind: 'seal', why: 'an atomic append has come to it, and not to all its log streams' };
  }

  const staying = stayingOf(stream);
  const areMembers = staying.every((it) => stream.members.includes(it));
  // Whoever leaves takes part until the others do, and not again afterwards.
  const wanted = areMembers ? alive.filter((it) => staying.includes(it)) : alive;
  const near = wanted.find((node) => {
    const report = context.report(stream.id, node);
    if (report === undefined || !isLearning(node, stream, context)) return false;
    return context.lag(stream, report) <= NEAR_MS && context.mayJoin(stream, node);
  });
  if (near !== undefined) {
    const why = `storage node ${near} has caught up and is to be a member`;
    return { kind: 'seal', why, learner: near };
  }
  return parting(stream, context);
}

/** Lets a member that leaves be none, once all others are well. */
function parting(stream: LogStreamState, context: RepairContext): Repair | undefined {
  const { id, epoch, leaving, members } = stream;
  const gone = leaving.find((it) => members.includes(it));
  if (gone === undefined || !context.mayJoin(stream, gone)) return undefined;
  const areWell = stayingOf(stream).every((node) => {
    const report = context.report(id, node);
    const isOpen = report?.state === 'open' && report.epoch === epoch;
    return members.includes(node) && isOpen && context.processOf(node) !== '';
  });
  if (!areWell) return undefined;
  return { kind: 'seal', why: `storage node ${gone} leaves it`, learner: gone };
}

function opening(stream: LogStreamState, context: RepairContext): Repair | undefined {
  const alive = stream.replicas.filter((it) => !isLost(it, stream, context));
  const whole = alive.filter((node) => {
    const report = context.report(stream.id, node);
    return report?.state === 'sealed' && report.epoch === stream.epoch && report.end === stream.end;
  });
  if (whole.length < membersLeast(stream)) return undefined;
  const staying = stayingOf(stream);
  // Then those that leave take no part any more, and nobody waits for them.
  const members = staying.every((it) => whole.includes(it)) ? staying : whole;
  const isComplete = members === staying || alive.length === whole.length;
  if (!isComplete && context.settledFor(stream) < LOG_TIMES.laggardGraceMs) return undefined;
  const steadyFirst = context.inOrder(stream, members);
  const ordered = inOrderOfPrimaries(stream, steadyFirst, context.metadata);
  // Its link is broken just now: it is looked at again when that is back, or the node is lost.
  if (context.processOf(ordered[0]!) === '') return undefined;
  return { kind: 'unseal', members: ordered };
}
