import { assert, type LogIndex, type Term } from '../../base/index.ts';
import { type Configuration, membersOf } from './configuration.ts';
import { decodeConfiguration, isConfigurationEntry } from './configuration-entry.ts';
import { costOf, type EntryBatch, endOf, sliceBatch } from './entry-batch.ts';

interface Run {
  readonly index: LogIndex;
  readonly term: Term;
}

/** A configuration, and the entry that brought it; 0: it is what the group began with. */
export interface PlacedConfiguration {
  readonly index: LogIndex;
  readonly configuration: Configuration;
}

/** What a member knows of its log when it starts. */
export interface LogShape {
  /** Index of the last entry that is gone, 0 for none, and its term where it is known. */
  readonly baseIndex: LogIndex;
  readonly baseTerm: Term | undefined;
  /** For each term in the log, the index of its first entry; both grow. */
  readonly runs: readonly Run[];
  readonly last: LogIndex;
  /** What the newest snapshot stands for, 0 for none. */
  readonly snapshotIndex: LogIndex;
  readonly snapshotTerm: Term;
  /** The configuration at the snapshot (without one: at the beginning), and each one after it. */
  readonly configurations: readonly PlacedConfiguration[];
}

/**
 * The shape of the log: the term of every entry, as runs, and the newest batches. Older payloads are
 * on disk only; who needs them asks for them.
 */
export class RaftLog {
  // baseIndex <= snapshotIndex <= commit <= last, always. All fields are written here alone, but for `identity`.

  /** Index of the last entry that is gone, 0 for none. Never decreases. */
  baseIndex: LogIndex;
  /** Index of the last entry. Decreases where what a deposed leader left is cut off, and never below `commit`. */
  last: LogIndex;
  /** All entries up to here are in the log of every leader to come. Never decreases; says nothing about what is durable. */
  commit: LogIndex;
  /** What the newest snapshot stands for, 0 for none. Never decreases. */
  snapshotIndex: LogIndex;
  /** Term of the entry at `snapshotIndex`. */
  snapshotTerm: Term;
  /**
   * Which group this is, empty while that is not certain: known once the first entry is committed, and then for
   * ever; or from whoever vouches for it, who writes it here from outside. Once it is there it never changes.
   */
  identity = '';
  /** Term of the entry at `baseIndex`, where it is known. */
  private baseTerm: Term | undefined;
  /** For each term after `baseIndex` its first entry; both grow. The first one may begin before `baseIndex`. */
  private runs: Run[];
  /** The one that is in force at `snapshotIndex`, and each one after it; their indexes grow. Never empty. */
  private configurations: PlacedConfiguration[];
  /** The newest batches without a gap, up to `last`; may be empty. */
  private readonly recent: EntryBatch[] = [];
  /** What `recent` costs: the sum of `costOf`. */
  private recentBytes = 0;
  private readonly recentBytesMax: number;

  constructor(shape: LogShape, recentBytesMax: number) {
    this.baseIndex = shape.baseIndex;
    this.baseTerm = shape.baseTerm;
    this.runs = [...shape.runs];
    this.configurations = [...shape.configurations];
    this.last = shape.last;
    this.snapshotIndex = shape.snapshotIndex;
    this.snapshotTerm = shape.snapshotTerm;
    this.commit = shape.snapshotIndex;
    this.recentBytesMax = recentBytesMax;
    assert(this.last >= this.commit, 'the log reaches up to the snapshot');
    assert(this.baseIndex <= this.snapshotIndex, 'no entries are missing behind the snapshot');
    assert(this.configurations.length > 0, 'a log begins with a configuration');
    this.identify();
  }

  /** Who belongs to the group: the newest configuration in the log, committed or not (paper §6). */
  get configuration(): Configuration {
    return this.configurations.at(-1)!.configuration;
  }

  /** The entry that holds {@link configuration}, 0 for none. */
  get configurationIndex(): LogIndex {
    return this.configurations.at(-1)!.index;
  }

  /** Whether the newest configuration is not final, or not committed. */
  get isChanging(): boolean {
    return this.configuration.outgoing.length > 0 || this.configurationIndex > this.commit;
  }

  /** What the group begins with, once more is known of it; ignored when the log already says it. */
  begin(configuration: Configuration): void {
    if (this.configurationIndex === 0) this.configurations = [{ index: 0, configuration }];
  }

  /** The configuration that is in force at `index`, which is not below the snapshot. */
  configurationAt(index: LogIndex): Configuration {
    return (this.configurations.findLast((it) => it.index <= index) ?? this.configurations[0]!)
      .configuration;
  }

  get lastTerm(): Term {
    return this.termAt(this.last) ?? 0;
  }

  /** Term of the entry at `index`; undefined when it is gone or was never there. */
  termAt(index: LogIndex): Term | undefined {
    if (index > this.last || index < this.baseIndex) return undefined;
    if (index === this.baseIndex) return index === 0 ? 0 : this.baseTerm;
    for (let i = this.runs.length - 1; i >= 0; i--) {
      const run = this.runs[i]!;
      if (run.index <= index) return run.term;
    }
    return this.baseTerm;
  }

  /** Whether the logs agree up to `index` (log matching, paper §5.3). */
  matches(index: LogIndex, term: Term): boolean {
    return this.termAt(index) === term;
  }

  /** Whether another log is at least as complete as this one (paper §5.4.1). */
  isUpToDate(lastIndex: LogIndex, lastTerm: Term): boolean {
    const own = this.lastTerm;
    return lastTerm > own || (lastTerm === own && lastIndex >= this.last);
  }

  append(batch: EntryBatch): void {
    assert(batch.index === this.last + 1, 'entries are appended without a gap');
    assert(batch.term >= this.lastTerm, 'terms grow along the log');
    if (batch.term !== this.lastTerm) this.runs.push({ index: batch.index, term: batch.term });
    this.last = endOf(batch);
    if (isConfigurationEntry(batch)) {
      const configuration = decodeConfiguration(batch.payload);
      this.configurations.push({ index: batch.index, configuration });
    }
    this.recent.push(batch);
    this.recentBytes += costOf(batch);
    if (this.recentBytes <= this.recentBytesMax) return;
    // Some at a time: to take one from the front of a long array moves all the others.
    const kept = this.recentBytesMax * 0.9;
    let gone = 0;
    while (this.recentBytes > kept && gone < this.recent.length - 1) {
      this.recentBytes -= costOf(this.recent[gone++]!);
    }
    this.recent.splice(0, gone);
  }

  /** Number of leading `batches` that are here already; from the next one on they are new or conflict. */
  present(batches: readonly EntryBatch[]): number {
    let known = 0;
    while (known < batches.length) {
      const batch = batches[known]!;
      if (!this.matches(endOf(batch), batch.term)) break;
      known++;
    }
    return known;
  }

  /** Drops the entries after `last`. */
  truncate(last: LogIndex): void {
    assert(last >= this.commit, 'committed entries stay');
    this.last = last;
    while (this.runs.length > 0 && this.runs.at(-1)!.index > last) this.runs.pop();
    while (this.configurationIndex > last) this.configurations.pop();
    while (this.recent.length > 0 && this.recent.at(-1)!.index > last) {
      this.recentBytes -= costOf(this.recent.pop()!);
    }
  }

  commitTo(index: LogIndex): void {
    if (index <= this.commit) return;
    assert(index <= this.last, 'what is committed is in the log');
    this.commit = index;
    this.identify();
  }

  /**
   * The disk by which the group knows a member. Where the newest configuration is not committed, the one before it
   * counts too: a member that it removes may be needed to commit just that.
   */
  incarnationOf(member: number): string | undefined {
    const { configuration, configurationIndex, commit } = this;
    const named = configuration.incarnations.get(member);
    if (named !== undefined || configurationIndex <= commit) return named;
    return this.configurationAt(configurationIndex - 1).incarnations.get(member);
  }

  /** Whether a member belonged to the group and was removed, by a configuration that is committed. */
  hasRemoved(member: number): boolean {
    return this.commit > 0 && this.configurationAt(this.commit).retired.includes(member);
  }

  /**
   * What speaks against taking messages from member `from`, who says that its group is `identity`, empty where it does
   * not know yet. Who belongs to the same group may be a member that this one has not heard of yet: one that lags
   * has to listen to a leader that joined later. Before both know their group, each listens to members of its own
   * configurations only.
   */
  refuses(from: number, identity: string): 'otherGroup' | 'notMember' | undefined {
    if (this.identity !== '' && identity !== '') {
      return this.identity === identity ? undefined : 'otherGroup';
    }
    return this.hasKnown(from) ? undefined : 'notMember';
  }

  /** Whether a member is, or was, in a configuration that this log still holds. */
  private hasKnown(member: number): boolean {
    return this.configurations.some((it) => membersOf(it.configuration).has(member));
  }

  /** Starts anew after a snapshot from elsewhere. */
  reset(index: LogIndex, term: Term, configuration: Configuration): void {
    this.baseIndex = index;
    this.baseTerm = term;
    this.snapshotIndex = index;
    this.snapshotTerm = term;
    this.runs = [];
    this.configurations = [{ index, configuration }];
    this.last = index;
    this.commit = index;
    this.recent.length = 0;
    this.recentBytes = 0;
    this.identify();
  }

  private identify(): void {
    if (this.identity !== '' || this.commit === 0) return;
    this.identity = this.configurationAt(this.commit).identity;
  }

  /** A snapshot of its own stands for the entries up to `index`; those up to `base` are dropped. */
  compact(index: LogIndex, base: LogIndex): void {
    const term = this.termAt(index);
    assert(index <= this.commit && base <= index, 'only committed entries are compacted');
    assert(term !== undefined, 'the snapshot is within the log');
    assert(index >= this.snapshotIndex, 'snapshots move forward');
    this.snapshotIndex = index;
    this.snapshotTerm = term;
    while (this.configurations.length > 1 && this.configurations[1]!.index <= index) {
      this.configurations.shift();
    }
    if (base <= this.baseIndex) return;
    this.baseTerm = this.termAt(base);
    this.baseIndex = base;
    let gone = 0;
    while (gone + 1 < this.runs.length && this.runs[gone + 1]!.index <= base + 1) gone++;
    this.runs.splice(0, gone);
    let old = 0;
    while (old < this.recent.length && endOf(this.recent[old]!) <= base) {
      this.recentBytes -= costOf(this.recent[old++]!);
    }
    this.recent.splice(0, old);
  }

  /**
   * The largest index up to `index` whose term is at most `term`: what both sides skip to after a
   * rejection, whole terms at a time.
   */
  lastWithTermUpTo(index: LogIndex, term: Term): LogIndex {
    if (index > this.last) return index;
    for (let i = index; ; ) {
      const own = this.termAt(i);
      if (own === undefined || own <= term) return i;
      const run = this.runs.findLast((it) => it.index <= i);
      if (run === undefined || run.index - 1 < this.baseIndex) return this.baseIndex;
      i = run.index - 1;
    }
  }

  /** Batches from `from` on, at least one, up to `bytesMax`; undefined when they are on disk only. */
  batches(from: LogIndex, bytesMax: number): EntryBatch[] | undefined {
    const first = this.recent[0];
    if (first === undefined || first.index > from) return undefined;
    let low = 0;
    let high = this.recent.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.recent[middle]!.index <= from) low = middle;
      else high = middle - 1;
    }
    const found = [sliceBatch(this.recent[low]!, from)];
    let bytes = costOf(found[0]!);
    for (let i = low + 1; i < this.recent.length; i++) {
      const batch = this.recent[i]!;
      bytes += costOf(batch);
      if (bytes > bytesMax) break;
      found.push(batch);
    }
    return found;
  }
}
