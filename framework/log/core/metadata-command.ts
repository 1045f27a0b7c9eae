import type { CutEntry } from './cut.ts';
import type { RegisterStorageNode } from './storage-nodes.ts';

/** How many of a log stream's replicas must have a record on disk before it counts. */
export type Acknowledge = 'majority' | 'all';

/** A change of the cluster's metadata, as it lies in the log of the metadata repository. */
export type MetadataCommand =
  | RegisterStorageNode
  /** Gives up the disk of a node, and binds `disk` or, if it is empty, the next one that comes. */
  | { kind: 'replaceStorageNode'; id: number; disk: string }
  /** A node has carried out removals. */
  | { kind: 'confirmRemovals'; id: number; disk: string; logStreams: readonly number[] }
  | { kind: 'unregisterStorageNode'; id: number }
  /** Id 0: the next free one. */
  | { kind: 'registerTopic'; id: number; acknowledge: Acknowledge }
  | { kind: 'unregisterTopic'; id: number }
  /** Brings back a topic that was unregistered, as long as it is remembered. */
  | { kind: 'restoreTopic'; id: number }
  /** Id 0: the next free one. */
  | { kind: 'registerLogStream'; id: number; topicId: number; replicas: number[] }
  | { kind: 'unregisterLogStream'; id: number }
  | { kind: 'setReplicas'; id: number; replicas: number[] }
  | { kind: 'cut'; entries: readonly CutEntry[] }
  | { kind: 'seal'; id: number; hold: boolean }
  /** Lets a log stream that an operator sealed be opened again. */
  | { kind: 'release'; id: number }
  /** `disks`: those of the members on whose word the epoch begins; `primaryProcess`: see the state. */
  | {
      kind: 'unseal';
      id: number;
      epoch: number;
      members: number[];
      disks: readonly string[];
      primaryProcess: string;
    }
  | { kind: 'trim'; topicId: number; glsn: number };
