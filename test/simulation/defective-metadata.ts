import {
  type Applied,
  type CutEntry,
  Metadata,
  type MetadataCommand,
} from '../../framework/log/core/index.ts';

/** Ways to break the metadata's part of the protocol, to see that the checks find them. */
export type MetadataDefect =
  | 'sealedAdvances'
  | 'cutsWithoutEpoch'
  | 'glsnFromProposer'
  | 'anyMemberStays';

/** Metadata that lacks a check, or several. */
export class DefectiveMetadata extends Metadata {
  private readonly defects: ReadonlySet<MetadataDefect>;
  /** What proposers that choose positions themselves have said. */
  private readonly chosen = new WeakMap<CutEntry, number>();

  constructor(defects: ReadonlySet<MetadataDefect>) {
    super();
    this.defects = defects;
  }

  override apply(command: MetadataCommand): Applied {
    if (command.kind === 'cut') return this.applyCut(command.entries);
    if (command.kind !== 'setReplicas' || !this.defects.has('anyMemberStays')) {
      return super.apply(command);
    }
    const stream = this.logStreams.get(command.id)!;
    if (!stream.members.some((it) => command.replicas.includes(it))) return super.apply(command);
    // A log stream in which nothing was ever ordered may be given any replicas.
    const { end } = stream;
    stream.end = 0;
    const applied = super.apply(command);
    stream.end = end;
    return applied;
  }

  /** Takes note of the positions that the proposer of a cut would choose. */
  choose(entries: readonly CutEntry[]): void {
    for (const it of entries) this.chosen.set(it, this.topicOf(it).highWatermark + 1);
  }

  private applyCut(entries: readonly CutEntry[]): Applied {
    const { defects } = this;
    const sealed = [...this.logStreams.values()].filter((it) => it.sealed);
    if (defects.has('sealedAdvances')) for (const it of sealed) it.sealed = false;
    const applied = defects.has('glsnFromProposer')
      ? this.applyEach(entries)
      : super.apply({
          kind: 'cut',
          entries: defects.has('cutsWithoutEpoch')
            ? entries.map((it) => ({ ...it, epoch: this.logStreams.get(it.logStreamId)!.epoch }))
            : entries,
        });
    if (defects.has('sealedAdvances')) for (const it of sealed) it.sealed = true;
    return applied;
  }

  private applyEach(entries: readonly CutEntry[]): Applied {
    const commits = entries.flatMap((it) => {
      const topic = this.topicOf(it);
      const before = topic.highWatermark;
      topic.highWatermark = this.chosen.get(it)! - 1;
      const { changes } = super.apply({ kind: 'cut', entries: [it] });
      if (changes.commits.length === 0) topic.highWatermark = before;
      return changes.commits;
    });
    const nothing = super.apply({ kind: 'cut', entries: [] });
    return { ...nothing, changes: { ...nothing.changes, commits } };
  }

  private topicOf({ logStreamId }: CutEntry) {
    return this.topics.get(this.logStreams.get(logStreamId)!.topicId)!;
  }
}
