import { isId } from './id-pool.ts';
import {
  type MetadataResult,
  noId,
  noStorageNode,
  OK,
  type Refusal,
  refuse,
} from './metadata-result.ts';

export interface StorageNodeState {
  readonly id: number;
  address: string;
  /** Identity of its disk; empty until a node with this id has opened a session. */
  disk: string;
  /** Disks that an operator has given up: they never come back under this id. */
  readonly formerDisks: string[];
  /** Log streams whose replicas were taken away from it, and which it may still have. */
  readonly removed: number[];
}

type StorageNodes = Map<number, StorageNodeState>;

export interface RegisterStorageNode {
  readonly kind: 'registerStorageNode';
  readonly id: number;
  readonly address: string;
  /** Said by the node itself. The first one is bound to the id, another one refused. */
  readonly disk?: string;
  /** Said by the node itself, which does not bring back one that was unregistered. */
  readonly move?: boolean;
}

/** Makes a node known, or its new address where `move` allows that. */
export function registerStorageNode(
  nodes: StorageNodes,
  unregistered: Set<number>,
  { id, address, disk = '', move = false }: RegisterStorageNode,
): MetadataResult {
  if (!isId(id)) return noId('storage node', id);
  if (address === '') {
    const what = `the address of storage node ${id} is empty`;
    return refuse('INVALID_ARGUMENT', what, 'name its host and port');
  }
  if (move && unregistered.has(id)) {
    return refuse(
      'FAILED_PRECONDITION',
      `storage node ${id} was unregistered`,
      'stop its process, or register it again (AddStorageNode of the cluster manager)',
    );
  }
  const known = nodes.get(id);
  if (known === undefined) {
    unregistered.delete(id);
    nodes.set(id, { id, address, disk, formerDisks: [], removed: [] });
    return OK;
  }
  const stranger = disk === '' ? undefined : strangerAt(known, disk);
  if (stranger !== undefined) return stranger;
  if (known.address !== address && !move) {
    return refuse(
      'ALREADY_EXISTS',
      `storage node ${id} is registered at ${known.address}`,
      'choose another id',
    );
  }
  if (disk !== '') known.disk = disk;
  known.address = address;
  return OK;
}

/** Why a disk is not the one of a node; `undefined`: it is, or none was known yet. */
export function strangerAt(
  { id, disk: own, formerDisks }: StorageNodeState,
  disk: string,
): Refusal | undefined {
  if (own === disk) return undefined;
  if (formerDisks.includes(disk)) {
    return refuse(
      'DISK_UNKNOWN',
      `disk ${disk} of storage node ${id} was given up when the node was replaced`,
      `start the node with the folder that took its place, or with an empty one and "varlog node replace ${id}"`,
    );
  }
  if (own === '') return undefined;
  return refuse(
    'DISK_UNKNOWN',
    `storage node ${id} has disk ${own}, and this is disk ${disk}`,
    `correct the node's id or folder; or, if its disk is lost for good, run "varlog node replace ${id} --disk ${disk}"`,
  );
}

/** Gives up a node's disk, and binds another one to its id: `disk` or, if that is empty, the next that comes. */
export function replaceStorageNode(
  nodes: StorageNodes,
  { id, disk }: { id: number; disk: string },
): MetadataResult {
  const known = nodes.get(id);
  if (known === undefined) return noStorageNode(id);
  if (disk !== '' && known.disk === disk) return OK;
  if (known.formerDisks.includes(disk)) return strangerAt(known, disk)!;
  if (known.disk !== '') known.formerDisks.push(known.disk);
  known.disk = disk;
  // Whatever was to be removed went with the disk.
  known.removed.length = 0;
  return OK;
}

/** A node has carried out removals. */
export function confirmRemovals(
  nodes: StorageNodes,
  { id, disk, logStreams }: { id: number; disk: string; logStreams: readonly number[] },
): MetadataResult {
  const node = nodes.get(id);
  if (node === undefined) return noStorageNode(id);
  if (node.disk !== disk) return OK;
  const left = node.removed.filter((it) => !logStreams.includes(it));
  node.removed.splice(0, Number.POSITIVE_INFINITY, ...left);
  return OK;
}

/** Why log streams cannot be placed on these nodes; `undefined`: they can. */
export function refusalOfPlacement(
  nodes: ReadonlyMap<number, StorageNodeState>,
  replicas: readonly number[],
): Refusal | undefined {
  if (replicas.length === 0) {
    return refuse('INVALID_ARGUMENT', 'no replicas are given', 'name at least one storage node');
  }
  if (new Set(replicas).size !== replicas.length) {
    return refuse('INVALID_ARGUMENT', 'a storage node is named twice', 'name each one once');
  }
  const unknown = replicas.find((it) => !nodes.has(it));
  return unknown === undefined ? undefined : noStorageNode(unknown);
}

/** Why the log streams of a deleted topic cannot be brought back; `undefined`: they can. */
export function refusalOfReturn(
  nodes: ReadonlyMap<number, StorageNodeState>,
  topicId: number,
  logStreams: readonly { id: number; replicas: number[] }[],
): Refusal | undefined {
  for (const { id, replicas } of logStreams) {
    const gone = replicas.find((it) => !nodes.has(it));
    if (gone === undefined) continue;
    return refuse(
      'FAILED_PRECONDITION',
      `storage node ${gone}, which has log stream ${id} of topic ${topicId}, was unregistered`,
      'register it again first',
    );
  }
  return undefined;
}
