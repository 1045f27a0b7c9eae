import type { Clock } from '../../base/index.ts';
import type { LogStreamState, Report } from '../core/index.ts';

/** A log stream is not sealed for a learner's sake sooner than this after it was opened. */
const GAP_MS_MIN = 2_000;
const GAP_MS_MAX = 5 * 60_000;
/** What happened before so long a time without another seal counts no more. */
const CALM_MS = 60_000;
/** Marks of where a log stream ended reach back so far. */
const MARKS_MS = 1_000;

/** Seals that have followed each other, and when the last one was. */
interface Series {
  level: number;
  at: number;
}

interface Observed {
  key: string;
  since: number;
  /** Where the log stream ended, and when; the oldest first. */
  marks: { at: number; end: number }[];
  seals: Series | undefined;
  /** Of each primary that was the reason for some. */
  faults: Map<number, Series>;
}

/**
 * What the repair has seen of each log stream over time: how far learners lag behind, and how often it
 * had to be sealed. Whatever makes it seal again and again is given more time, twice as much each time.
 */
export class Steadiness {
  private readonly clock: Clock;
  private readonly observed = new Map<number, Observed>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** To be called at each look. */
  observe(logStreams: ReadonlyMap<number, LogStreamState>): void {
    for (const id of this.observed.keys()) if (!logStreams.has(id)) this.observed.delete(id);
    const now = this.clock.now();
    for (const stream of logStreams.values()) {
      const it = this.of(stream);
      it.marks.push({ at: now, end: stream.end });
      while (it.marks[1] !== undefined && it.marks[1].at <= now - MARKS_MS) it.marks.shift();
    }
  }

  /** Milliseconds since a log stream was last sealed or opened, as far as was seen. */
  settledFor(stream: LogStreamState): number {
    return this.clock.now() - this.of(stream).since;
  }

  /** For how long a log stream must have been open before it is sealed for a learner's sake. */
  gap(stream: LogStreamState): number {
    const { seals } = this.of(stream);
    return seals === undefined ? GAP_MS_MIN : gapOf(seals);
  }

  /** How many milliseconds ago the log stream ended where a replica's records end now. */
  lag(stream: LogStreamState, { end }: Report): number {
    if (end >= stream.end) return 0;
    const then = this.of(stream).marks.findLast((it) => it.end <= end);
    return then === undefined ? Number.POSITIVE_INFINITY : this.clock.now() - then.at;
  }

  /** Takes note that a log stream is sealed; `primary`: because of this node. */
  sealed(stream: LogStreamState, primary: number | undefined): void {
    const it = this.of(stream);
    it.seals = this.next(it.seals);
    if (primary !== undefined) it.faults.set(primary, this.next(it.faults.get(primary)));
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
      const fresh: Observed = { key, since, marks: [], seals: undefined, faults: new Map() };
      this.observed.set(stream.id, fresh);
      return fresh;
    }
    if (known.key !== key) {
      known.key = key;
      known.since = this.clock.now();
    }
    return known;
  }
}

function gapOf({ level }: Series): number {
  return Math.min(GAP_MS_MAX, GAP_MS_MIN * 2 ** level);
}

function calmOf(series: Series): number {
  return Math.max(CALM_MS, 4 * gapOf(series));
}
