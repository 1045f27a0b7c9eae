import type { Ports, RecordLimits, UnaryMethod } from '../../base/index.ts';
import type { KnownFolders } from './known-folders.ts';
import type { NodeStatus } from './node-status.ts';
import type { LogStreamReplica } from './replica.ts';

/** What the services of a storage node need of it. */
export interface ServedNode {
  readonly ports: Ports;
  readonly clusterId: number;
  readonly storageNodeId: number;
  readonly address: string;
  readonly directory: string;
  readonly knownFolders: KnownFolders;
  /** What clients may append here at once. What other replicas have is taken from them all the same. */
  readonly recordLimits: RecordLimits;
  /** When this process began to be the node, in milliseconds since 1970. */
  readonly startedAt: number;
  readonly status: NodeStatus;
  readonly replicas: ReadonlyMap<number, LogStreamReplica>;
  /**
   * The replica of a log stream on this node. MUST throw `LOG_STREAM_NOT_FOUND` where there is none, and
   * `UNAVAILABLE` where it cannot be opened, or not yet. It MAY give one that serves nothing.
   */
  find(topicId: number, logStreamId: number): LogStreamReplica;
  /** Whether the metadata repository wants a replica of the log stream here, as far as this node was told. */
  wants(logStreamId: number): boolean;
  /** Has the leader of the metadata repository do what only it may decide. Rejects with `UNAVAILABLE` without a link. */
  ask<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
  ): Promise<Response>;
  /** Trims a topic, for all of its replicas everywhere. MUST NOT resolve before that is decided, and done here. */
  trim(topicId: number, glsn: number): Promise<void>;
}
