import { VarlogError } from '../../base/index.ts';
import type { CutEntry } from './cut.ts';
import type { Acknowledge } from './metadata-state.ts';
import type { RegisterStorageNode } from './storage-nodes.ts';

/**
 * A change of the cluster's metadata, as it lies in the log of the metadata repository. One that follows
 * from what was read of a log stream names its `revision`, and is refused when that has changed since.
 */
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
  | SetReplicas
  | { kind: 'cut'; entries: readonly CutEntry[] }
  | ({ kind: 'seal'; id: number; hold: boolean } & Conditions)
  /** Lets a log stream that an operator sealed be opened again. */
  | { kind: 'release'; id: number }
  | Unseal
  /** Without `force` it stops before records that are held. */
  | { kind: 'trim'; topicId: number; glsn: number; force?: boolean }
  /** `holder` needs the records behind `position`, and none any more without one. */
  | { kind: 'hold'; topicId: number; holder: string; position?: number };

interface Conditions {
  revision?: number;
  /** Who asks, as in "by the repair of member 2"; without it, an operator. */
  by?: string;
}

export interface Unseal extends Conditions {
  kind: 'unseal';
  id: number;
  epoch: number;
  members: number[];
  /** Those of the members on whose word the epoch begins. */
  disks: readonly string[];
  /** See the state. */
  primaryProcess: string;
}

export interface SetReplicas extends Conditions {
  kind: 'setReplicas';
  id: number;
  replicas: number[];
  revision: number;
  /** Replicas that are up and have said that they hold all of the sealed log stream. */
  holders: number[];
}

/** To pass over it would leave this member with another state than those that know it. */
export function unknownCommand(command: never): VarlogError {
  return new VarlogError('APPLY_FAILED', {
    what: `a command of the metadata is of an unknown kind: ${JSON.stringify(command)}`,
    next: 'start this member with the version that the others run: it resumes with this command',
  });
}
