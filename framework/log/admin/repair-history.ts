import type { Clock } from '../../base/index.ts';
import type { LogStreamState, Report, WaitingPart } from '../core/index.ts';

/** A log stream is not sealed for a learner's sake sooner than this after it was opened. */
const GAP_MS_MIN = 2_000;
const GAP_MS_MAX = 5 * 60_000;
/** A learner that was a member meanwhile, or is another copy than then, waits no longer than 8 s. */
const LEVEL_MAX_ANEW = 2;
/** What happened before so long a time without another seal counts no more. */
const CALM_MS = 60_000;
/** Marks of where a log stream ended reach back so far. */
const MARKS_MS = 1_000;

/** Seals that have followed each other, and when the last one was. */
interface Series {
  level: number;
  at: number;
}

/** The seals for the sake of one learner. */
interface Learner {
  series: Series;
  /** In which epoch the last one was. */
  epoch: number;
  /** The process that had the copy then, and where the copy ended of late. */
  process: string;
  end: number;
}

interface Observed {
  key: string;
  since: number;
  /** The part of an atomic append that waits for the others, and since when. */
  stuck: { readonly llsn: number; readonly since: number } | undefined;
  /** Where the log stream ended, and when it was last seen to; the oldest first. */
  marks: { at: number; end: number }[];
  /** Seals for the sake of each learner, by storage node. */
  learners: Map<number, Learner>;
  /** Seals that each primary was the reason for, by storage node. */
  faults: Map<number, Series>;
}

/** What is known of the replicas now. */
export interface Replicas {
  /** Changes when the process of a node is another one. */
  processOf(node: number): string;
  report(logStreamId: number, node: number): Report | undefined;
  /** What it waits with for the other parts of an atomic append. */
  stuckPart(logStreamId: number): WaitingPart | undefined;
}

/**
 * What the repair has seen of each log stream over time: how far learners lag behind, and because of which
 * replicas it had to be sealed. Whichever makes it seal again and again is given more time, twice as much
 * each time; the other replicas, and those of other log streams, do not wait for it.
 */
export class RepairHistory {
  private readonly clock: Clock;
  private readonly observed = new Map<number, Observed>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** To be called at each look. */
  observe(logStreams: ReadonlyMap<number, LogStreamState>, replicas: Replicas): void {
    for (const id of this.observed.keys()) if (!logStreams.has(id)) this.observed.delete(id);
    const now = this.clock.now();
    for (const stream of logStreams.values()) {
      const it = this.of(stream);
      const last = it.marks.at(-1);
      if (last?.end === stream.end) last.at = now;
      else it.marks.push({ at: now, end: stream.end });
      while (it.marks[1] !== undefined && it.marks[1].at <= now - MARKS_MS) it.marks.shift();
      for (const [node, learner] of it.learners) notice(learner, node, stream, replicas);
      const part = replicas.stuckPart(stream.id);
      // What was not ordered when a log stream was sealed is gone.
      const isInVain = part?.logStreams.some((id) => logStreams.get(id)?.sealed !== false);
      const since = isInVain ? Number.NEGATIVE_INFINITY : now;
      if (part === undefined) it.stuck = undefined;
      else if (isInVain || it.stuck?.llsn !== part.llsn) it.stuck = { llsn: part.llsn, since };
    }
  }

  /** Milliseconds since a log stream was last sealed or opened, as far as was seen. */
  settledFor(stream: LogStreamState): number {
    return this.clock.now() - this.of(stream).since;
  }

  /** Milliseconds for which it has waited for the other parts of an atomic append; `undefined`: it does not. */
  stuckFor(stream: LogStreamState): number | undefined {
    const { stuck } = this.of(stream);
    return stuck === undefined ? undefined : this.clock.now() - stuck.since;
  }

  /** Whether a log stream may be sealed for the sake of this learner now. */
  mayJoin(stream: LogStreamState, node: number): boolean {
    if (this.settledFor(stream) < GAP_MS_MIN) return false;
    const learner = this.of(stream).learners.get(node);
    return learner === undefined || this.clock.now() - learner.series.at >= gapOf(learner.series);
  }

  /** How many milliseconds ago the log stream ended where a replica's records end now. */
  lag(stream: LogStreamState, { end }: Report): number {
    if (end >= stream.end) return 0;
    const then = this.of(stream).marks.findLast((it) => it.end <= end);
    return then === undefined ? Number.POSITIVE_INFINITY : this.clock.now() - then.at;
  }

  /** Takes note that a log stream was sealed in `epoch`: because of a primary, or for a learner's sake. */
  sealed(
    stream: LogStreamState,
    epoch: number,
    { primary, learner }: { primary?: number; learner?: number },
    replicas: Replicas,
  ): void {
    const { faults, learners } = this.of(stream);
    if (primary !== undefined) faults.set(primary, this.next(faults.get(primary)));
    if (learner === undefined) return;
    const series = this.next(learners.get(learner)?.series);
    const process = replicas.processOf(learner);
    const end = replicas.report(stream.id, learner)?.end ?? 0;
    learners.set(learner, { series, epoch, process, end });
  }

  /** The same nodes, but those that have failed as the primary again and again of late come last. */
  inOrder(stream: LogStreamState, nodes: readonly number[]): number[] {
    const { faults } = this.of(stream);
    const isUnsteady = (node: number): boolean => {
      const series = faults.get(node);
      if (series === undefined || series.level === 0) return false;
      return this.clock.now() - series.at < calmOf(series);
    };
    return [...nodes.filter((it) => !isUnsteady(it)), ...nodes.filter(isUnsteady)];
  }

  clear(): void {
    this.observed.clear();
  }

  private next(series: Series | undefined): Series {
    const at = this.clock.now();
    if (series === undefined || at - series.at > calmOf(series)) return { level: 0, at };
    return { level: series.level + 1, at };
  }

  private of(stream: LogStreamState): Observed {
    const key = `${stream.epoch} ${stream.sealed}`;
    const known = this.observed.get(stream.id);
    if (known === undefined) {
      const since = this.clock.now();
      const empty = { stuck: undefined, marks: [], learners: new Map(), faults: new Map() };
      const fresh: Observed = { key, since, ...empty };
      this.observed.set(stream.id, fresh);
      return fresh;
    }
    if (known.key !== key) {
      known.key = key;
      known.since = this.clock.now();
      known.stuck = undefined;
    }
    return known;
  }
}

/** A seal that made the learner a member was not in vain, and another copy is not to blame for it. */
function notice(learner: Learner, node: number, stream: LogStreamState, replicas: Replicas): void {
  const hasJoined = stream.epoch > learner.epoch && stream.members.includes(node);
  const process = replicas.processOf(node);
  const { end = learner.end } = replicas.report(stream.id, node) ?? {};
  // While it has no link to the leader, nobody knows whether it comes back as the same one.
  const isAnother = (process !== '' && process !== learner.process) || end < learner.end;
  if (process !== '') learner.process = process;
  learner.end = end;
  if (!hasJoined && !isAnother) return;
  learner.series.level = Math.min(learner.series.level, LEVEL_MAX_ANEW);
}

function gapOf({ level }: Series): number {
  return Math.min(GAP_MS_MAX, GAP_MS_MIN * 2 ** level);
}

function calmOf(series: Series): number {
  return Math.max(CALM_MS, 4 * gapOf(series));
}
