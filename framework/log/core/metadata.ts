import { CommitHistory } from './commit-history.ts';
import { applyCut } from './cut.ts';
import { changeHolds, refusalOfTrim } from './holds.ts';
import { IdPool, isId } from './id-pool.ts';
import { type MetadataChanges, noChanges } from './metadata-changes.ts';
import {
  type MetadataCommand,
  type SetReplicas,
  type Unseal,
  unknownCommand,
} from './metadata-command.ts';
import {
  type MetadataResult,
  noId,
  noIdLeft,
  noLogStream,
  noStorageNode,
  noTopic,
  OK,
  refuse,
} from './metadata-result.ts';
import {
  copyOfLogStream,
  copyOfNode,
  copyOfTopic,
  type DeletedTopic,
  type LogStreamState,
  type MetadataSnapshot,
  newLogStream,
  newTopic,
  type TopicState,
} from './metadata-state.ts';
import { changedMeanwhile, refusalOfChange, refusalOfOpening } from './replica-change.ts';
import {
  confirmRemovals,
  type RegisterStorageNode,
  refusalOfPlacement,
  refusalOfReturn,
  registerStorageNode,
  replaceStorageNode,
  type StorageNodeState,
} from './storage-nodes.ts';

const DELETED_TOPICS_MAX = 16;

/** Test-only ways to break the protocol, to see that the checks find them. */
export type MetadataDefect =
  | 'sealedAdvances'
  | 'cutsWithoutEpoch'
  | 'glsnFromProposer'
  | 'anyMemberStays';

/**
 * The cluster's metadata and the order of all topics: a deterministic state machine. Everything it
 * knows comes from its commands; it reads no clock and iterates in the order of ids.
 */
export class Metadata {
  readonly storageNodes = new Map<number, StorageNodeState>();
  readonly topics = new Map<number, TopicState>();
  readonly logStreams = new Map<number, LogStreamState>();
  /** The newest of those that were deleted, the oldest first. */
  private deletedTopics: DeletedTopic[] = [];
  /** Storage nodes that an operator took out: they do not come back by themselves. */
  private readonly unregistered = new Set<number>();
  private readonly topicIds = new IdPool();
  private readonly logStreamIds = new IdPool();
  private changes = noChanges();
  private readonly defects: ReadonlySet<MetadataDefect>;

  constructor(defects: ReadonlySet<MetadataDefect> = new Set()) {
    this.defects = defects;
  }

  apply(command: MetadataCommand): MetadataResult {
    switch (command.kind) {
      case 'cut':
        this.changes.commits.push(...applyCut(this, command.entries, this.defects));
        return OK;
      case 'registerStorageNode':
        return this.registerStorageNode(command);
      case 'replaceStorageNode':
        return this.replaceStorageNode(command);
      case 'confirmRemovals':
        return confirmRemovals(this.storageNodes, command);
      case 'unregisterStorageNode':
        return this.unregisterStorageNode(command.id);
      case 'registerTopic':
        return this.registerTopic(command);
      case 'unregisterTopic':
        return this.unregisterTopic(command.id);
      case 'restoreTopic':
        return this.restoreTopic(command.id);
      case 'registerLogStream':
        return this.registerLogStream(command);
      case 'unregisterLogStream':
        return this.unregisterLogStream(command.id);
      case 'setReplicas':
        return this.setReplicas(command);
      case 'seal':
        return this.seal(command);
      case 'release':
        return this.release(command.id);
      case 'unseal':
        return this.unseal(command);
      case 'trim':
        return this.trim(command);
      case 'hold':
        return changeHolds(this.topics.get(command.topicId), command);
      default:
        throw unknownCommand(command);
    }
  }

  /** What changed since the last call. */
  takeChanges(): MetadataChanges {
    const { changes } = this;
    this.changes = noChanges();
    return changes;
  }

  /** The whole state. What never changes in it is shared, not copied. */
  snapshot(): MetadataSnapshot {
    const deleted = this.deletedTopics.flatMap((it) => it.logStreams);
    const logStreams = [...this.logStreams.values(), ...deleted];
    return {
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

  restore({ histories, ...snapshot }: MetadataSnapshot): void {
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
    this.takeChanges();
    for (const stream of this.logStreams.values()) this.reassigned(stream);
  }

  private registerStorageNode(command: RegisterStorageNode): MetadataResult {
    const before = this.storageNodes.get(command.id)?.address;
    const result = registerStorageNode(this.storageNodes, this.unregistered, command);
    if (before !== undefined && before !== this.storageNodes.get(command.id)!.address) {
      for (const stream of this.logStreams.values()) {
        if (stream.replicas.includes(command.id)) this.reassigned(stream);
      }
    }
    return result;
  }

  private replaceStorageNode(command: { id: number; disk: string }): MetadataResult {
    const before = this.storageNodes.get(command.id)?.disk;
    const result = replaceStorageNode(this.storageNodes, command);
    const isNew = result.ok && before !== '' && this.storageNodes.get(command.id)!.disk !== before;
    if (!isNew) return result;
    this.changes.replaced.add(command.id);
    for (const stream of this.logStreams.values()) {
      if (!stream.replicas.includes(command.id)) continue;
      this.revise(stream, `given another disk on storage node ${command.id}`, undefined);
    }
    return result;
  }

  private unregisterStorageNode(id: number): MetadataResult {
    if (!this.storageNodes.has(id)) return noStorageNode(id);
    for (const stream of this.logStreams.values()) {
      if (!stream.replicas.includes(id)) continue;
      return refuse(
        'FAILED_PRECONDITION',
        `storage node ${id} holds a replica of log stream ${stream.id}`,
        'replace that replica first',
      );
    }
    this.storageNodes.delete(id);
    this.unregistered.add(id);
    this.changes.unregistered.add(id);
    return OK;
  }

  private registerTopic(command: MetadataCommand & { kind: 'registerTopic' }): MetadataResult {
    const id = command.id === 0 ? this.topicIds.free : command.id;
    if (id === undefined) return noIdLeft('topic');
    if (!isId(id)) return noId('topic', id);
    const known = this.topics.get(id);
    if (known !== undefined) {
      const same = known.acknowledge === command.acknowledge && known.logStreams.length === 0;
      if (same) return { ok: true, value: id };
      return refuse('ALREADY_EXISTS', `topic ${id} exists`, 'choose another id');
    }
    if (this.topicIds.wasGiven(id)) {
      return refuse('ALREADY_EXISTS', `topic ${id} existed before`, 'ids are never used again');
    }
    this.topicIds.give(id);
    this.topics.set(id, newTopic(id, command.acknowledge));
    return { ok: true, value: id };
  }

  private unregisterTopic(id: number): MetadataResult {
    const topic = this.topics.get(id);
    if (topic === undefined) return noTopic(id);
    const logStreams = topic.logStreams.map((it) => this.logStreams.get(it)!);
    this.deletedTopics.push({ ...topic, logStreams });
    this.deletedTopics.splice(0, this.deletedTopics.length - DELETED_TOPICS_MAX);
    for (const stream of logStreams) this.remove(stream, topic);
    this.topics.delete(id);
    return OK;
  }

  private restoreTopic(id: number): MetadataResult {
    const at = this.deletedTopics.findIndex((it) => it.id === id);
    if (this.topics.has(id)) return OK;
    if (at === -1) return noTopic(id);
    const { logStreams, ...topic } = this.deletedTopics[at]!;
    const refused = refusalOfReturn(this.storageNodes, id, logStreams);
    if (refused !== undefined) return refused;
    this.deletedTopics.splice(at, 1);
    this.topics.set(id, { ...topic, logStreams: logStreams.map((it) => it.id) });
    for (const stream of logStreams) {
      // It opens like any sealed one, once its replicas say that they hold all of it.
      stream.sealed = true;
      this.revise(stream, 'restored', undefined);
      this.logStreams.set(stream.id, stream);
      this.giveBack(stream.id, stream.replicas);
      this.reassigned(stream);
    }
    return OK;
  }

  private registerLogStream(
    command: MetadataCommand & { kind: 'registerLogStream' },
  ): MetadataResult {
    const { topicId, replicas } = command;
    const topic = this.topics.get(topicId);
    if (topic === undefined) return noTopic(topicId);
    const bad = refusalOfPlacement(this.storageNodes, replicas);
    if (bad !== undefined) return bad;
    const id = command.id === 0 ? this.logStreamIds.free : command.id;
    if (id === undefined) return noIdLeft('log stream');
    if (!isId(id)) return noId('log stream', id);
    const known = this.logStreams.get(id);
    if (known !== undefined) {
      const same = known.topicId === topicId && String(known.replicas) === String(replicas);
      if (same) return { ok: true, value: id };
      return refuse('ALREADY_EXISTS', `log stream ${id} exists`, 'choose another id');
    }
    if (this.logStreamIds.wasGiven(id)) {
      const what = `log stream ${id} existed before`;
      return refuse('ALREADY_EXISTS', what, 'ids are never used again');
    }
    this.logStreamIds.give(id);
    const stream = newLogStream(id, topicId, replicas);
    this.logStreams.set(id, stream);
    topic.logStreams.push(id);
    topic.logStreams.sort((a, b) => a - b);
    this.reassigned(stream);
    return { ok: true, value: id };
  }

  private unregisterLogStream(id: number): MetadataResult {
    const stream = this.logStreams.get(id);
    if (stream === undefined) return noLogStream(id);
    if (!stream.sealed) {
      return refuse('FAILED_PRECONDITION', `log stream ${id} is running`, 'seal it first');
    }
    this.remove(stream, this.topics.get(stream.topicId)!);
    return OK;
  }

  private remove(stream: LogStreamState, topic: TopicState): void {
    topic.logStreams.splice(topic.logStreams.indexOf(stream.id), 1);
    this.logStreams.delete(stream.id);
    this.takeAway(stream.id, stream.replicas);
    this.reassigned(stream);
  }

  private setReplicas(command: SetReplicas): MetadataResult {
    const { id, replicas, by } = command;
    const stream = this.logStreams.get(id);
    if (stream === undefined) return noLogStream(id);
    const bad = refusalOfPlacement(this.storageNodes, replicas) ?? this.refusalOf(stream, command);
    if (bad !== undefined) return bad;
    const before = stream.replicas;
    const gone = before.filter((it) => !replicas.includes(it));
    this.takeAway(id, gone);
    this.giveBack(id, replicas);
    stream.replicas = [...replicas];
    stream.members = stream.members.filter((it) => replicas.includes(it));
    this.revise(stream, `given the replicas ${replicas.join(', ')}`, by);
    this.reassigned(stream, before);
    return OK;
  }

  private refusalOf(stream: LogStreamState, command: SetReplicas): MetadataResult | undefined {
    const stays = stream.members.some((it) => command.replicas.includes(it));
    if (this.defects.has('anyMemberStays') && stays) return undefined;
    const topic = this.topics.get(stream.topicId)!;
    return refusalOfChange(stream, topic, command, this.storageNodes);
  }

  private seal(command: MetadataCommand & { kind: 'seal' }): MetadataResult {
    const { id, hold, revision, by } = command;
    const stream = this.logStreams.get(id);
    if (stream === undefined) return noLogStream(id);
    if (revision !== undefined && revision !== stream.revision) return changedMeanwhile(stream);
    const changes = !stream.sealed || (hold && !stream.held);
    if (!stream.sealed) {
      stream.sealed = true;
      this.reassigned(stream);
    }
    stream.held ||= hold;
    if (changes) this.revise(stream, `sealed at ${stream.end}`, by);
    return { ok: true, value: stream.lastGlsn };
  }

  private release(id: number): MetadataResult {
    const stream = this.logStreams.get(id);
    if (stream === undefined) return noLogStream(id);
    if (stream.held) this.revise(stream, 'released', undefined);
    stream.held = false;
    return OK;
  }

  private unseal(command: Unseal): MetadataResult {
    const { id, epoch, members, disks, primaryProcess, by } = command;
    const stream = this.logStreams.get(id);
    if (stream === undefined) return noLogStream(id);
    const refused = refusalOfOpening(stream, command, this.storageNodes);
    if (refused !== undefined) return refused;
    stream.epoch = epoch;
    stream.members = [...members];
    stream.founders = members.map((node, i) => ({ node, disk: disks[i]! }));
    stream.primaryProcess = primaryProcess;
    stream.sealed = false;
    stream.held = false;
    this.revise(stream, `opened in epoch ${epoch} on ${members.join(', ')}`, by);
    this.reassigned(stream);
    return OK;
  }

  private trim(command: MetadataCommand & { kind: 'trim' }): MetadataResult {
    const topic = this.topics.get(command.topicId);
    if (topic === undefined) return noTopic(command.topicId);
    const refused = refusalOfTrim(topic, command);
    if (refused !== undefined) return refused;
    if (command.glsn <= topic.trimmed) return OK;
    topic.trimmed = command.glsn;
    for (const id of topic.logStreams) this.reassigned(this.logStreams.get(id)!);
    return OK;
  }

  private takeAway(logStreamId: number, nodes: readonly number[]): void {
    for (const node of nodes) this.storageNodes.get(node)?.removed.push(logStreamId);
  }

  private giveBack(logStreamId: number, nodes: readonly number[]): void {
    for (const node of nodes) {
      const { removed } = this.storageNodes.get(node)!;
      if (removed.includes(logStreamId)) removed.splice(removed.indexOf(logStreamId), 1);
    }
  }

  private revise(stream: LogStreamState, what: string, by: string | undefined): void {
    stream.revision++;
    stream.changed = `${what} by ${by ?? 'an operator'}`;
  }

  private reassigned(stream: LogStreamState, others: readonly number[] = []): void {
    const nodes = this.changes.reassigned.get(stream.id) ?? new Set<number>();
    for (const node of [...stream.replicas, ...others]) nodes.add(node);
    this.changes.reassigned.set(stream.id, nodes);
  }
}

function fill<T extends { readonly id: number }>(map: Map<number, T>, values: readonly T[]): void {
  map.clear();
  for (const value of values) map.set(value.id, value);
}
