import type { AtomicAppend, Epoch, Version } from '../../base/index.ts';
import type { Cut } from './commands/cut.ts';
import type { CutTogether } from './commands/cut-together.ts';
import type { CutEntry } from './cut.ts';
import { keepWhole, type Reach } from './keep-whole.ts';
import type { LogStreamState } from './log-stream-state.ts';
import type { MetadataState } from './metadata-state.ts';
import type { WaitingPart } from './waiting-parts.ts';

export type ReplicaState =
  | 'open'
  | 'sealed'
  | 'sealing'
  | 'restarted'
  /** Fetches what is committed; also a member of the epoch that lost its data, and so takes no part in it. */
  | 'learning'
  | 'failed'
  /** Lacks or cannot read what it had: rebuilds itself from a good copy, once there is one. */
  | 'damaged';

/** What a replica says of itself. */
export interface Report {
  readonly logStreamId: number;
  /** The configuration that it has durably taken over. */
  readonly epoch: Epoch;
  /** LLSN of its last durable record. */
  readonly end: number;
  /** Last commit on its disk. */
  readonly persistedVersion: Version;
  readonly state: ReplicaState;
  /** Of a primary: parts of atomic appends that it has taken, and that are not in its log yet. */
  readonly parked?: readonly AtomicAppend[];
  /** All parts in its log that are not ordered, as far as it knows. */
  readonly waiting?: readonly WaitingPart[];
}

/** A report, and what was made of it. */
interface Heard extends Report {
  /** Where a replica ended that has lost data, before it had. */
  readonly had?: number;
}

const NONE: readonly WaitingPart[] = [];

/** How many of `members` must have a record. */
export function needed(members: number, acknowledge: 'majority' | 'all'): number {
  return acknowledge === 'all' ? members : Math.floor(members / 2) + 1;
}

/**
 * Decides how far each log stream may be cut, from the reports of its replicas. Soft state of the
 * leader: a new one starts empty, because what it has not heard is unknown, not zero.
 */
export class CutPlanner {
  private readonly metadata: MetadataState;
  private readonly reports = new Map<number, Map<number, Heard>>();
  /** The end that is already on its way through Raft, for the epoch in which it was proposed. */
  protected readonly proposed = new Map<number, { epoch: Epoch; end: number }>();
  private dirty = new Set<number>();
  /** Log streams of which some replica has told parts of atomic appends since it was last seen that there are none. */
  private readonly withParts = new Set<number>();

  constructor(metadata: MetadataState) {
    this.metadata = metadata;
  }

  /**
   * Takes note of a report of storage node `node`. Reports of one replica must come in the order in
   * which it made them. Returns false for the first one that contradicts what is known: a replica that once had more in
   * this epoch than it has now has lost data, and is failed until it has as much again.
   */
  report(node: number, report: Report): boolean {
    const stream = this.metadata.logStreams.get(report.logStreamId);
    if (stream === undefined || !stream.replicas.includes(node)) return true;
    const table = this.reports.get(stream.id) ?? new Map<number, Heard>();
    this.reports.set(stream.id, table);
    const before = table.get(node);
    const isSame = before?.epoch === report.epoch;
    const had = (isSame && (before.had ?? (before.state === 'open' && before.end))) || 0;
    const lost = report.state === 'open' && report.end < had;
    table.set(node, lost ? { ...report, state: 'failed', had } : report);
    this.dirty.add(stream.id);
    if (report.waiting !== undefined) this.withParts.add(stream.id);
    return !lost || before?.had !== undefined;
  }

  /** Nothing that storage node `node` said counts any more: its disk was given up. */
  forget(node: number): void {
    for (const table of this.reports.values()) table.delete(node);
  }

  /** What storage node `node` last said of a log stream. */
  reportOf(logStreamId: number, node: number): Report | undefined {
    return this.reports.get(logStreamId)?.get(node);
  }

  /** Whether anything might be cut: new reports came in since the last plan. */
  get pending(): boolean {
    return this.dirty.size > 0;
  }

  /**
   * What can only be cut in one go, because parts of atomic appends are in it: empty when nothing of it has moved. To be
   * asked for before {@link plan}. Takes it for granted that it will be proposed.
   *
   * Whatever of the log streams is not ordered yet is in it, also where that was proposed before: so each of these cuts
   * stands for itself, whichever of those before it take effect.
   */
  planTogether(): CutEntry[] {
    const reaches = new Map<number, Reach>();
    const ids = new Set<number>();
    for (const id of this.dirty) if (this.withParts.has(id)) ids.add(id);
    if (ids.size === 0) return [];
    // Those that are named on the way are looked at as well.
    for (const id of ids) {
      const reach = this.reachOf(id);
      if (reach === undefined) continue;
      reaches.set(id, reach);
      for (const it of reach.parts.values()) for (const other of it.logStreams) ids.add(other);
    }
    keepWhole(reaches);
    const entries: CutEntry[] = [];
    let moves = false;
    for (const [id, { end, parts }] of reaches) {
      if (![...parts.values()].some((it) => it.end <= end)) continue;
      const stream = this.metadata.logStreams.get(id)!;
      moves ||= end > this.knownEnd(stream);
      const { persistedVersion } = this.acknowledged(stream);
      entries.push({ logStreamId: id, epoch: stream.epoch, end, persistedVersion });
    }
    if (!moves) return [];
    for (const { logStreamId, epoch, end } of entries)
      this.proposed.set(logStreamId, { epoch, end });
    return entries;
  }

  /**
   * The next cut of what is ordered by itself; empty when nothing has moved. Takes it for granted that it will be
   * proposed.
   */
  plan(): CutEntry[] {
    const entries: CutEntry[] = [];
    for (const id of this.dirty) {
      const stream = this.metadata.logStreams.get(id);
      const entry = stream === undefined ? undefined : this.advanceOf(stream);
      if (entry !== undefined) entries.push(entry);
    }
    this.dirty = new Set();
    return entries;
  }

  /** Whether any log stream waits for other parts of an atomic append. */
  get isAnyStuck(): boolean {
    for (const id of this.withParts) {
      if (this.waitingOf(id).length === 0) this.withParts.delete(id);
      else if (this.stuckPart(id) !== undefined) return true;
    }
    return false;
  }

  /**
   * What a log stream waits with for the other parts of an atomic append: its own part, which enough of its members have.
   * `undefined`: it does not.
   */
  stuckPart(logStreamId: number): WaitingPart | undefined {
    const first = this.waitingOf(logStreamId)[0];
    if (first === undefined) return undefined;
    const stream = this.metadata.logStreams.get(logStreamId)!;
    const isStuck = first.end <= this.acknowledged(stream).end && first.end > this.knownEnd(stream);
    return isStuck ? first : undefined;
  }

  /** A proposal may not have taken effect: whatever the reports allow is to be proposed again. */
  forgetProposals(): void {
    this.proposed.clear();
    for (const id of this.reports.keys()) this.dirty.add(id);
  }

  /** Looks at a log stream again, because its members or its state changed. */
  revisit(logStreamId: number): void {
    const stream = this.metadata.logStreams.get(logStreamId);
    if (stream === undefined) {
      this.reports.delete(logStreamId);
      this.proposed.delete(logStreamId);
    }
    const table = this.reports.get(logStreamId);
    for (const node of table?.keys() ?? []) {
      // Should it be given the log stream again, it begins with nothing.
      if (stream?.replicas.includes(node) !== true) table!.delete(node);
    }
    this.dirty.add(logStreamId);
  }

  private advanceOf(stream: LogStreamState): CutEntry | undefined {
    if (stream.sealed) return undefined;
    const { end: acknowledged, persistedVersion } = this.acknowledged(stream);
    const [part] = this.waitingOf(stream.id);
    const end = part === undefined ? acknowledged : Math.min(acknowledged, part.llsn - 1);
    if (end <= this.knownEnd(stream)) return undefined;
    this.proposed.set(stream.id, { epoch: stream.epoch, end });
    return { logStreamId: stream.id, epoch: stream.epoch, end, persistedVersion };
  }

  private acknowledged(stream: LogStreamState): { end: number; persistedVersion: Version } {
    const ends: number[] = [];
    let persistedVersion = Number.POSITIVE_INFINITY;
    for (const node of stream.members) {
      const report = this.reports.get(stream.id)?.get(node);
      const counts = report !== undefined && this.counts(stream, report);
      persistedVersion = Math.min(persistedVersion, counts ? report.persistedVersion : 0);
      if (counts) ends.push(report.end);
    }
    return { end: this.acknowledgedEnd(stream, ends), persistedVersion };
  }

  /** Where it ends once what is on its way through Raft has taken effect. */
  private knownEnd(stream: LogStreamState): number {
    const base = this.proposed.get(stream.id);
    return Math.max(stream.end, base?.epoch === stream.epoch ? base.end : 0);
  }

  /**
   * Parts of atomic appends that are not ordered, in the order of their LLSNs. A member whose report counts towards an
   * end tells all parts up to there, but for those that it knows to be ordered.
   */
  protected waitingOf(logStreamId: number): readonly WaitingPart[] {
    const stream = this.metadata.logStreams.get(logStreamId);
    if (stream === undefined || stream.sealed || !this.withParts.has(logStreamId)) return NONE;
    let parts: Map<number, WaitingPart> | undefined;
    for (const node of stream.members) {
      const report = this.reports.get(logStreamId)?.get(node);
      if (report?.waiting === undefined || !this.counts(stream, report)) continue;
      for (const it of report.waiting) {
        if (it.end <= stream.end) continue;
        parts ??= new Map();
        parts.set(it.llsn, it);
      }
    }
    return parts === undefined ? NONE : [...parts.values()].sort((a, b) => a.llsn - b.llsn);
  }

  private reachOf(logStreamId: number): Reach | undefined {
    const waiting = this.waitingOf(logStreamId);
    if (waiting.length === 0) return undefined;
    const { end } = this.acknowledged(this.metadata.logStreams.get(logStreamId)!);
    return { end, parts: new Map(waiting.filter((it) => it.end <= end).map((it) => [it.id, it])) };
  }

  /** How far enough members have it on disk, of which these ends count; 0 when they are too few. */
  protected acknowledgedEnd(stream: LogStreamState, ends: number[]): number {
    const { acknowledge } = this.metadata.topics.get(stream.topicId)!;
    const need = needed(stream.members.length, acknowledge);
    return ends.length < need ? 0 : ends.sort((a, b) => b - a)[need - 1]!;
  }

  /** Whether a member's report says anything of the records of this epoch. */
  protected counts(stream: LogStreamState, { epoch, state }: Report): boolean {
    // A primary that restarted appends nothing more in this epoch, but what it has is durable.
    return epoch === stream.epoch && (state === 'open' || state === 'restarted');
  }
}

/** What is to be cut now, as commands. */
export function cutsOf(planner: CutPlanner): (Cut | CutTogether)[] {
  const together = planner.planTogether();
  const alone = planner.plan();
  return [
    ...(together.length > 0 ? [{ kind: 'cutTogether', entries: together } as const] : []),
    ...(alone.length > 0 ? [{ kind: 'cut', entries: alone } as const] : []),
  ];
}
