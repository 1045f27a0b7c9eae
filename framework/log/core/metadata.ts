import type { ErrorCode } from '../../base/index.ts';
import { applyCut, type Commit, type CutEntry } from './cut.ts';

/** How many of a log stream's replicas must have a record on disk before it counts. */
export type Acknowledge = 'majority' | 'all';

export interface StorageNodeState {
  readonly id: number;
  address: string;
}

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

export type MetadataCommand =
  | { kind: 'registerStorageNode'; id: number; address: string; move?: boolean }
  | { kind: 'unregisterStorageNode'; id: number }
  /** Id 0: the next free one. */
  | { kind: 'registerTopic'; id: number; acknowledge: Acknowledge }
  | { kind: 'unregisterTopic'; id: number }
  /** Id 0: the next free one. */
  | { kind: 'registerLogStream'; id: number; topicId: number; replicas: number[] }
  | { kind: 'unregisterLogStream'; id: number }
  | { kind: 'setReplicas'; id: number; replicas: number[] }
  | { kind: 'cut'; entries: readonly CutEntry[] }
  | { kind: 'seal'; id: number; hold: boolean }
  /** Lets a log stream that an operator sealed be opened again. */
  | { kind: 'release'; id: number }
  | { kind: 'unseal'; id: number; epoch: number; members: number[] }
  | { kind: 'trim'; topicId: number; glsn: number };

/** A refusal is a result like any other: every member of the repository comes to the same one. */
export type MetadataResult =
  /** `value`: the id that was given, or the GLSN at which a log stream was sealed. */
  { ok: true; value: number } | { ok: false; code: ErrorCode; what: string; next: string };

export interface MetadataSnapshot {
  storageNodes: StorageNodeState[];
  topics: TopicState[];
  logStreams: LogStreamState[];
  nextTopicId: number;
  nextLogStreamId: number;
}

/** What a batch of commands changed, for the leader to pass on. Not part of the state. */
export interface MetadataChanges {
  commits: Commit[];
  /** Log streams whose assignment changed, with all nodes that are concerned. */
  reassigned: Map<number, Set<number>>;
}

/** Test-only ways to break the protocol, to see that the checks find them. */
export type MetadataDefect = 'sealedAdvances' | 'cutsWithoutEpoch' | 'glsnFromProposer';

const OK: MetadataResult = { ok: true, value: 0 };

/**
 * The cluster's metadata and the order of all topics: a deterministic state machine. Everything it
 * knows comes from its commands; it reads no clock and iterates in the order of ids.
 */
export class Metadata {
  readonly storageNodes = new Map<number, StorageNodeState>();
  readonly topics = new Map<number, TopicState>();
  readonly logStreams = new Map<number, LogStreamState>();
  private nextTopicId = 1;
  private nextLogStreamId = 1;
  private changes: MetadataChanges = { commits: [], reassigned: new Map() };
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
      case 'unregisterStorageNode':
        return this.unregisterStorageNode(command.id);
      case 'registerTopic':
        return this.registerTopic(command);
      case 'unregisterTopic':
        return this.unregisterTopic(command.id);
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
    this.changes = { commits: [], reassigned: new Map() };
    return changes;
  }

  snapshot(): MetadataSnapshot {
    return structuredClone({
      storageNodes: [...this.storageNodes.values()],
      topics: [...this.topics.values()],
      logStreams: [...this.logStreams.values()],
      nextTopicId: this.nextTopicId,
      nextLogStreamId: this.nextLogStreamId,
    });
  }

  restore(snapshot: MetadataSnapshot): void {
    const { storageNodes, topics, logStreams, ...counters } = structuredClone(snapshot);
    fill(this.storageNodes, storageNodes);
    fill(this.topics, topics);
    fill(this.logStreams, logStreams);
    this.nextTopicId = counters.nextTopicId;
    this.nextLogStreamId = counters.nextLogStreamId;
    this.takeChanges();
    for (const stream of this.logStreams.values()) this.reassigned(stream);
  }

  private registerStorageNode(command: { id: number; address: string; move?: boolean }) {
    const known = this.storageNodes.get(command.id);
    if (known === undefined) {
      this.storageNodes.set(command.id, { id: command.id, address: command.address });
      return OK;
    }
    if (known.address === command.address) return OK;
    if (command.move !== true) {
      return refuse(
        'ALREADY_EXISTS',
        `storage node ${command.id} is registered at ${known.address}`,
        'choose another id',
      );
    }
    known.address = command.address;
    for (const stream of this.logStreams.values()) {
      if (stream.replicas.includes(command.id)) this.reassigned(stream);
    }
    return OK;
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
    for (const stream of [...topic.logStreams]) this.unregisterLogStream(stream);
    this.topics.delete(id);
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

  private unseal(command: { id: number; epoch: number; members: number[] }): MetadataResult {
    const { id, epoch, members } = command;
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
    stream.epoch = epoch;
    stream.members = [...members];
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

  private reassigned(stream: LogStreamState, others: readonly number[] = []): void {
    const nodes = this.changes.reassigned.get(stream.id) ?? new Set<number>();
    for (const node of [...stream.replicas, ...others]) nodes.add(node);
    this.changes.reassigned.set(stream.id, nodes);
  }
}

function refuse(code: ErrorCode, what: string, next: string): MetadataResult & { ok: false } {
  return { ok: false, code, what, next };
}

const noTopic = (id: number) =>
  refuse('TOPIC_NOT_FOUND', `there is no topic ${id}`, 'list the topics to see which there are');
const noLogStream = (id: number) =>
  refuse('LOG_STREAM_NOT_FOUND', `there is no log stream ${id}`, 'describe its topic');
const noStorageNode = (id: number) =>
  refuse('NOT_FOUND', `there is no storage node ${id}`, 'list the storage nodes');

function fill<T extends { readonly id: number }>(map: Map<number, T>, values: T[]): void {
  map.clear();
  for (const value of values) map.set(value.id, value);
}
