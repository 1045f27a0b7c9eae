import type { Epoch, Version } from '../../base/index.ts';
import type { CutEntry } from './cut.ts';
import type { LogStreamState } from './log-stream-state.ts';
import type { MetadataState } from './metadata-state.ts';

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
}

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
  private readonly reports = new Map<number, Map<number, Report>>();
  /** The end that is already on its way through Raft, for the epoch in which it was proposed. */
  protected readonly proposed = new Map<number, { epoch: Epoch; end: number }>();
  private dirty = new Set<number>();

  constructor(metadata: MetadataState) {
    this.metadata = metadata;
  }

  /**
   * Takes note of a report of storage node `node`. Reports of one replica must come in the order in
   * which it made them. Returns false for one that contradicts what is known: a replica of this
   * epoch that once had more than it has now has lost data.
   */
  report(node: number, report: Report): boolean {
    const stream = this.metadata.logStreams.get(report.logStreamId);
    if (stream === undefined || !stream.replicas.includes(node)) return true;
    const table = this.reports.get(stream.id) ?? new Map<number, Report>();
    this.reports.set(stream.id, table);
    const before = table.get(node);
    const lost =
      before !== undefined &&
      before.epoch === report.epoch &&
      before.state === 'open' &&
      report.state === 'open' &&
      report.end < before.end;
    table.set(node, lost ? { ...report, state: 'failed' } : report);
    this.dirty.add(stream.id);
    return !lost;
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

  /** The next cut; empty when nothing has moved. Takes it for granted that it will be proposed. */
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
    const ends: number[] = [];
    let persistedVersion = Number.POSITIVE_INFINITY;
    for (const node of stream.members) {
      const report = this.reports.get(stream.id)?.get(node);
      const counts = report !== undefined && this.counts(stream, report);
      persistedVersion = Math.min(persistedVersion, counts ? report.persistedVersion : 0);
      if (counts) ends.push(report.end);
    }
    const end = this.acknowledgedEnd(stream, ends);
    const base = this.proposed.get(stream.id);
    const known = Math.max(stream.end, base?.epoch === stream.epoch ? base.end : 0);
    if (end <= known) return undefined;
    this.proposed.set(stream.id, { epoch: stream.epoch, end });
    return { logStreamId: stream.id, epoch: stream.epoch, end, persistedVersion };
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
