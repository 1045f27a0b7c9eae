import { applyCut, type Commit } from './cut.ts';
import type { Acknowledge, MetadataCommand } from './metadata-command.ts';
import { type MetadataResult, OK, refuse } from './metadata-result.ts';
import {
  confirmRemovals,
  noStorageNode,
  type RegisterStorageNode,
  registerStorageNode,
  replaceStorageNode,
  type StorageNodeState,
} from './storage-nodes.ts';

export interface TopicState {
  readonly id: number;
  readonly acknowledge: Acknowledge;
  /** GLSN of the last record ordered; 0 for none. */
  highWatermark: number;
  /** Records up to this GLSN are removed. */
  trimmed: number;
  /** Ascending. */
  readonly logStreams: number[];
}

export interface LogStreamState {
  readonly id: number;
  readonly topicId: number;
  /** Storage nodes that are to hold it, in order of preference as primary. */
  replicas: number[];
  /** Those of them that make up the current epoch, the primary first. */
  members: number[];
  /** The process that may append in the current epoch: its node may have been started again since. */
  primaryProcess: string;
  epoch: number;
  sealed: boolean;
  /** Sealed by an operator: stays so until an operator opens it. */
  held: boolean;
  /** LLSN of the last record ordered; 0 for none. */
  end: number;
  /** GLSN of that record. */
  lastGlsn: number;
  /** Number of the last commit. */
  version: number;
  /** The last commits, oldest first, kept until every member has them on disk. */
  history: Commit[];
}

/** A topic that can be brought back as long as its nodes have its replicas in their trash. */
export type DeletedTopic = Omit<TopicState, 'logStreams'> & { logStreams: LogStreamState[] };

const DELETED_TOPICS_MAX = 16;

export interface MetadataSnapshot {
  storageNodes: StorageNodeState[];
  topics: TopicState[];
  logStreams: LogStreamState[];
  deletedTopics: DeletedTopic[];
  nextTopicId: number;
  nextLogStreamId: number;
}

/** What a batch of commands changed, for the leader to pass on. Not part of the state. */
export interface MetadataChanges {
  commits: Commit[];
  /** Log streams whose assignment changed, with all nodes that are concerned. */
  reassigned: Map<number, Set<number>>;
  /** Nodes whose disk was given up: nothing that they said counts any more. */
  replaced: Set<number>;
}

/** Test-only ways to break the protocol, to see that the checks find them. */
export type MetadataDefect = 'sealedAdvances' | 'cutsWithoutEpoch' | 'glsnFromProposer';

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
  private nextTopicId = 1;
  private nextLogStreamId = 1;
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
    }
  }

  /** What changed since the last call. */
  takeChanges(): MetadataChanges {
    const { changes } = this;
    this.changes = noChanges();
    return changes;
  }

  snapshot(): MetadataSnapshot {
    return structuredClone({
      storageNodes: [...this.storageNodes.values()],
      topics: [...this.topics.values()],
      logStreams: [...this.logStreams.values()],
      deletedTopics: this.deletedTopics,
      nextTopicId: this.nextTopicId,
      nextLogStreamId: this.nextLogStreamId,
    });
  }

  restore(snapshot: MetadataSnapshot): void {
    const { storageNodes, topics, logStreams, deletedTopics, ...counters } =
      structuredClone(snapshot);
    fill(this.storageNodes, storageNodes);
    fill(this.topics, topics);
    fill(this.logStreams, logStreams);
    this.deletedTopics = deletedTopics;
    this.nextTopicId = counters.nextTopicId;
    this.nextLogStreamId = counters.nextLogStreamId;
    this.takeChanges();
    for (const stream of this.logStreams.values()) this.reassigned(stream);
  }

  private registerStorageNode(command: RegisterStorageNode): MetadataResult {
    const before = this.storageNodes.get(command.id)?.address;
    const result = registerStorageNode(this.storageNodes, command);
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
    if (isNew) this.changes.replaced.add(command.id);
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
    return OK;
  }

  private registerTopic(command: { id: number; acknowledge: Acknowledge }): MetadataResult {
    const id = command.id === 0 ? this.nextTopicId : command.id;
    const known = this.topics.get(id);
    if (known !== undefined) {
      const same = known.acknowledge === command.acknowledge && known.logStreams.length === 0;
      if (same) return { ok: true, value: id };
      return refuse('ALREADY_EXISTS', `topic ${id} exists`, 'choose another id');
    }
    if (id < this.nextTopicId) {
      return refuse('ALREADY_EXISTS', `topic ${id} existed before`, 'ids are never used again');
    }
    this.nextTopicId = id + 1;
    const { acknowledge } = command;
    this.topics.set(id, { id, acknowledge, highWatermark: 0, trimmed: 0, logStreams: [] });
    return { ok: true, value: id };
  }

  private unregisterTopic(id: number): MetadataResult {
    const topic = this.topics.get(id);
    if (topic === undefined) return noTopic(id);
    const logStreams = topic.logStreams.map((it) => this.logStreams.get(it)!);
    this.deletedTopics.push({ ...topic, logStreams });
    this.deletedTopics.splice(0, this.deletedTopics.length - DELETED_TOPICS_MAX);
    for (const stream of [...topic.logStreams]) this.unregisterLogStream(stream);
    this.topics.delete(id);
    return OK;
  }

  private restoreTopic(id: number): MetadataResult {
    const at = this.deletedTopics.findIndex((it) => it.id === id);
    if (this.topics.has(id)) return OK;
    if (at === -1) return noTopic(id);
    const { logStreams, ...topic } = this.deletedTopics[at]!;
    for (const { id: logStream, replicas } of logStreams) {
      const gone = replicas.find((it) => !this.storageNodes.has(it));
      if (gone === undefined) continue;
      return refuse(
        'FAILED_PRECONDITION',
        `storage node ${gone}, which has log stream ${logStream} of topic ${id}, was unregistered`,
        'start it again first',
      );
    }
    this.deletedTopics.splice(at, 1);
    this.topics.set(id, { ...topic, logStreams: logStreams.map((it) => it.id) });
    for (const stream of logStreams) {
      // It opens like any sealed one, once its replicas say that they hold all of it.
      stream.sealed = true;
      this.logStreams.set(stream.id, stream);
      this.giveBack(stream.id, stream.replicas);
      this.reassigned(stream);
    }
    return OK;
  }

  private registerLogStream(command: { id: number; topicId: number; replicas: number[] }) {
    const { topicId, replicas } = command;
    const topic = this.topics.get(topicId);
    if (topic === undefined) return noTopic(topicId);
    const bad = this.unusable(replicas);
    if (bad !== undefined) return bad;
    const id = command.id === 0 ? this.nextLogStreamId : command.id;
    const known = this.logStreams.get(id);
    if (known !== undefined) {
      const same = known.topicId === topicId && String(known.replicas) === String(replicas);
      if (same) return { ok: true as const, value: id };
      return refuse('ALREADY_EXISTS', `log stream ${id} exists`, 'choose another id');
    }
    if (id < this.nextLogStreamId) {
      return refuse(
        'ALREADY_EXISTS',
        `log stream ${id} existed before`,
        'ids are never used again',
      );
    }
    this.nextLogStreamId = id + 1;
    const stream: LogStreamState = {
      id,
      topicId,
      replicas: [...replicas],
      members: [...replicas],
      primaryProcess: '',
      // It opens like any sealed one, when its replicas say that they hold all of it: so one that has
      // lost its disk is never taken for a new one.
      epoch: 0,
      sealed: true,
      held: false,
      end: 0,
      lastGlsn: 0,
      version: 0,
      history: [],
    };
    this.logStreams.set(id, stream);
    topic.logStreams.push(id);
    topic.logStreams.sort((a, b) => a - b);
    this.reassigned(stream);
    return { ok: true as const, value: id };
  }

  private unregisterLogStream(id: number): MetadataResult {
    const stream = this.logStreams.get(id);
    if (stream === undefined) return noLogStream(id);
    const topic = this.topics.get(stream.topicId)!;
    topic.logStreams.splice(topic.logStreams.indexOf(id), 1);
    this.logStreams.delete(id);
    this.takeAway(id, stream.replicas);
    this.reassigned(stream);
    return OK;
  }

  private setReplicas({ id, replicas }: { id: number; replicas: number[] }): MetadataResult {
    const stream = this.logStreams.get(id);
    if (stream === undefined) return noLogStream(id);
    const bad = this.unusable(replicas);
    if (bad !== undefined) return bad;
    const gone = stream.members.filter((it) => !replicas.includes(it));
    if (gone.length > 0 && !stream.sealed) {
      return refuse(
        'FAILED_PRECONDITION',
        `log stream ${id} is not sealed, and storage node ${gone[0]} is a member of its epoch`,
        'seal it first',
      );
    }
    if (gone.length === stream.members.length) {
      return refuse(
        'FAILED_PRECONDITION',
        `none of the new replicas of log stream ${id} has its records`,
        'keep at least one of the old ones until the new ones have caught up',
      );
    }
    const before = stream.replicas;
    this.takeAway(
      id,
      before.filter((it) => !replicas.includes(it)),
    );
    this.giveBack(id, replicas);
    stream.replicas = [...replicas];
    stream.members = stream.members.filter((it) => replicas.includes(it));
    this.reassigned(stream, before);
    return OK;
  }

  private seal({ id, hold }: { id: number; hold: boolean }): MetadataResult {
    const stream = this.logStreams.get(id);
    if (stream === undefined) return noLogStream(id);
    if (!stream.sealed) {
      stream.sealed = true;
      this.reassigned(stream);
    }
    stream.held ||= hold;
    return { ok: true, value: stream.lastGlsn };
  }

  private release(id: number): MetadataResult {
    const stream = this.logStreams.get(id);
    if (stream === undefined) return noLogStream(id);
    stream.held = false;
    return OK;
  }

  private unseal(command: MetadataCommand & { kind: 'unseal' }): MetadataResult {
    const { id, epoch, members, disks, primaryProcess } = command;
    const stream = this.logStreams.get(id);
    if (stream === undefined) return noLogStream(id);
    if (!stream.sealed || epoch !== stream.epoch + 1) {
      const state = stream.sealed ? 'sealed' : 'open';
      return refuse(
        'FAILED_PRECONDITION',
        `log stream ${id} is ${state} in epoch ${stream.epoch}, so epoch ${epoch} cannot begin`,
        'look at its state again',
      );
    }
    if (members.length === 0 || members.some((it) => !stream.replicas.includes(it))) {
      return refuse(
        'INVALID_ARGUMENT',
        `${members.join(', ')} are not replicas of log stream ${id}`,
        'choose among its replicas',
      );
    }
    const replaced = members.find((it, i) => this.storageNodes.get(it)!.disk !== disks[i]);
    if (replaced !== undefined) {
      return refuse(
        'FAILED_PRECONDITION',
        `storage node ${replaced} has another disk than the one that holds log stream ${id}`,
        'look at its state again',
      );
    }
    stream.epoch = epoch;
    stream.members = [...members];
    stream.primaryProcess = primaryProcess;
    stream.sealed = false;
    stream.held = false;
    this.reassigned(stream);
    return OK;
  }

  private trim({ topicId, glsn }: { topicId: number; glsn: number }): MetadataResult {
    const topic = this.topics.get(topicId);
    if (topic === undefined) return noTopic(topicId);
    if (glsn > topic.highWatermark) {
      return refuse(
        'BEYOND_TAIL',
        `topic ${topicId} ends at ${topic.highWatermark}, before ${glsn}`,
        'trim at most up to its tail',
      );
    }
    if (glsn <= topic.trimmed) return OK;
    topic.trimmed = glsn;
    for (const id of topic.logStreams) this.reassigned(this.logStreams.get(id)!);
    return OK;
  }

  private unusable(replicas: readonly number[]): MetadataResult | undefined {
    if (replicas.length === 0) {
      return refuse('INVALID_ARGUMENT', 'no replicas are given', 'name at least one storage node');
    }
    if (new Set(replicas).size !== replicas.length) {
      return refuse('INVALID_ARGUMENT', 'a storage node is named twice', 'name each one once');
    }
    const unknown = replicas.find((it) => !this.storageNodes.has(it));
    return unknown === undefined ? undefined : noStorageNode(unknown);
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

  private reassigned(stream: LogStreamState, others: readonly number[] = []): void {
    const nodes = this.changes.reassigned.get(stream.id) ?? new Set<number>();
    for (const node of [...stream.replicas, ...others]) nodes.add(node);
    this.changes.reassigned.set(stream.id, nodes);
  }
}

function noChanges(): MetadataChanges {
  return { commits: [], reassigned: new Map(), replaced: new Set() };
}

const noTopic = (id: number) =>
  refuse('TOPIC_NOT_FOUND', `there is no topic ${id}`, 'list the topics to see which there are');
const noLogStream = (id: number) =>
  refuse('LOG_STREAM_NOT_FOUND', `there is no log stream ${id}`, 'describe its topic');
function fill<T extends { readonly id: number }>(map: Map<number, T>, values: T[]): void {
  map.clear();
  for (const value of values) map.set(value.id, value);
}
