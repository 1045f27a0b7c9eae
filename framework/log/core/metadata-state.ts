import { CommitHistory, type HistorySnapshot } from './commit-history.ts';
import { aboveSupported, FIRST_FEATURE_LEVEL } from './feature-level.ts';
import { IdPool, type IdPoolSnapshot } from './id-pool.ts';
import { copyOfLogStream, type LogStreamState, type WithoutHistory } from './log-stream-state.ts';
import { copyOfNode, type StorageNodeState } from './storage-nodes.ts';
import { copyOfTopic, type DeletedTopic, type TopicState } from './topic-state.ts';

export interface MetadataSnapshot {
  /** See {@link MetadataState.featureLevel}. */
  featureLevel: number;
  storageNodes: StorageNodeState[];
  /** Ids of storage nodes that were unregistered, and not registered since. */
  unregistered: number[];
  topics: TopicState[];
  deletedTopics: TopicState[];
  /** Also those of deleted topics. */
  logStreams: WithoutHistory[];
  /** In the order of `logStreams`. */
  histories: HistorySnapshot[];
  topicIds: IdPoolSnapshot;
  logStreamIds: IdPoolSnapshot;
}

/** What commands work on: equal at all members that have applied the same commands. */
export class MetadataState {
  /** The highest feature level that this member can follow. The one thing here that members may differ in. */
  readonly supportedLevel: number;
  /** The level that the cluster has agreed on: commands of higher ones are not proposed. Never falls. */
  featureLevel = FIRST_FEATURE_LEVEL;
  readonly storageNodes = new Map<number, StorageNodeState>();
  readonly topics = new Map<number, TopicState>();
  readonly logStreams = new Map<number, LogStreamState>();
  /** The newest of those that were deleted, the oldest first. */
  deletedTopics: DeletedTopic[] = [];
  /** Storage nodes that an operator took out: they do not come back by themselves. */
  readonly unregistered = new Set<number>();
  readonly topicIds = new IdPool();
  readonly logStreamIds = new IdPool();

  constructor(supportedLevel: number) {
    this.supportedLevel = supportedLevel;
  }

  /** The whole state. What never changes in it is shared, not copied. */
  snapshot(): MetadataSnapshot {
    const deleted = this.deletedTopics.flatMap((it) => it.logStreams);
    const logStreams = [...this.logStreams.values(), ...deleted];
    return {
      featureLevel: this.featureLevel,
      storageNodes: [...this.storageNodes.values()].map(copyOfNode),
      unregistered: [...this.unregistered],
      topics: [...this.topics.values()].map(copyOfTopic),
      deletedTopics: this.deletedTopics.map(({ logStreams: streams, ...it }) => {
        return { ...it, logStreams: streams.map(({ id }) => id) };
      }),
      logStreams: logStreams.map(copyOfLogStream),
      histories: logStreams.map((it) => it.history.snapshot()),
      topicIds: this.topicIds.snapshot(),
      logStreamIds: this.logStreamIds.snapshot(),
    };
  }

  /** Replaces the whole state. Throws `APPLY_FAILED` and changes nothing when this member cannot go on from it. */
  restore({ histories, ...snapshot }: MetadataSnapshot): void {
    const { featureLevel } = snapshot;
    if (featureLevel > this.supportedLevel) {
      throw aboveSupported('a snapshot of the metadata', featureLevel, this.supportedLevel);
    }
    const streams = snapshot.logStreams.map((it, i): LogStreamState => {
      const history = CommitHistory.restore(it.id, histories[i]!);
      return { ...copyOfLogStream({ ...it, history }), history };
    });
    const byId = new Map(streams.map((it) => [it.id, it]));
    this.deletedTopics = snapshot.deletedTopics.map(({ logStreams, ...it }) => {
      return { ...it, logStreams: logStreams.map((id) => byId.get(id)!) };
    });
    for (const { logStreams } of snapshot.deletedTopics)
      for (const it of logStreams) byId.delete(it);
    fill(this.logStreams, [...byId.values()]);
    fill(this.storageNodes, snapshot.storageNodes.map(copyOfNode));
    fill(this.topics, snapshot.topics.map(copyOfTopic));
    this.unregistered.clear();
    for (const id of snapshot.unregistered) this.unregistered.add(id);
    this.topicIds.restore(snapshot.topicIds);
    this.logStreamIds.restore(snapshot.logStreamIds);
    this.featureLevel = featureLevel;
  }
}

function fill<T extends { readonly id: number }>(map: Map<number, T>, values: readonly T[]): void {
  map.clear();
  for (const value of values) map.set(value.id, value);
}
