import { CommitHistory, type HistorySnapshot } from './commit-history.ts';
import type { Hold } from './holds.ts';
import type { IdPoolSnapshot } from './id-pool.ts';
import type { StorageNodeState } from './storage-nodes.ts';

/** How many of a log stream's replicas must have a record on disk before it counts. */
export type Acknowledge = 'majority' | 'all';

export interface TopicState {
  readonly id: number;
  readonly acknowledge: Acknowledge;
  /** GLSN of the last record ordered; 0 for none. */
  highWatermark: number;
  /** Records up to this GLSN are removed. */
  trimmed: number;
  /** What is not to be trimmed without force, one for each holder; replaced as a whole. */
  holds: readonly Hold[];
  /** Ascending. */
  readonly logStreams: number[];
}

export interface Founder {
  readonly node: number;
  readonly disk: string;
}

export interface LogStreamState {
  readonly id: number;
  readonly topicId: number;
  /** Storage nodes that are to hold it, in order of preference as primary. */
  replicas: number[];
  /** Those of them that make up the current epoch, the primary first. */
  members: number[];
  /**
   * The disks of all members that the epoch began with: of so many, enough hold each record that it
   * ordered.
   */
  founders: Founder[];
  /** The process that may append in the current epoch: its node may have been started again since. */
  primaryProcess: string;
  epoch: number;
  sealed: boolean;
  /** Sealed by an operator: stays so until an operator opens it. */
  held: boolean;
  /** Grows with each of its changes but cuts: a command made for another revision is refused. */
  revision: number;
  /** What its last change was and who made it, for those who are refused. */
  changed: string;
  /** LLSN of the last record ordered; 0 for none. */
  end: number;
  /** GLSN of that record. */
  lastGlsn: number;
  /** Number of the last commit. */
  version: number;
  /** The last commits, kept until every member has them on disk. */
  history: CommitHistory;
}

/** A topic that can be brought back as long as its nodes have its replicas in their trash. */
export type DeletedTopic = Omit<TopicState, 'logStreams'> & { logStreams: LogStreamState[] };

type WithoutHistory = Omit<LogStreamState, 'history'>;

export interface MetadataSnapshot {
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

export function newTopic(id: number, acknowledge: Acknowledge): TopicState {
  return { id, acknowledge, highWatermark: 0, trimmed: 0, holds: [], logStreams: [] };
}

export function copyOfTopic(topic: TopicState): TopicState {
  return { ...topic, logStreams: [...topic.logStreams] };
}

export function copyOfNode(node: StorageNodeState): StorageNodeState {
  return { ...node, formerDisks: [...node.formerDisks], removed: [...node.removed] };
}

/** Without its history, which is copied by itself. */
export function copyOfLogStream({ history: _, ...stream }: LogStreamState): WithoutHistory {
  const { replicas, members, founders } = stream;
  return {
    ...stream,
    replicas: [...replicas],
    members: [...members],
    founders: [...founders],
  };
}

/**
 * It opens like any sealed one, when its replicas say that they hold all of it: so one that has lost its
 * disk is never taken for a new one.
 */
export function newLogStream(id: number, topicId: number, replicas: number[]): LogStreamState {
  return {
    id,
    topicId,
    replicas: [...replicas],
    members: [...replicas],
    founders: [],
    primaryProcess: '',
    epoch: 0,
    sealed: true,
    held: false,
    revision: 0,
    changed: 'made',
    end: 0,
    lastGlsn: 0,
    version: 0,
    history: new CommitHistory(id),
  };
}
