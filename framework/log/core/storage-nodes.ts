import { noStorageNode, type Refusal, refuse } from './metadata-result.ts';

export interface StorageNodeState {
  readonly id: number;
  address: string;
  /** Identity of its disk; empty until a node with this id has linked to the leader. */
  disk: string;
  /** Disks that an operator has given up: they never come back under this id. */
  readonly formerDisks: string[];
  /** Log streams whose replicas were taken away from it, and which it may still have. */
  readonly removed: number[];
  /** An operator wants it to hold nothing: its replicas are moved away, and it is given none. */
  draining: boolean;
}

/** Why a disk is not the one of a node; `undefined`: it is, or none was known yet. */
export function refusalOfDisk(
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
    `storage node ${id} of this cluster has disk ${own}, and this is disk ${disk}`,
    // A new node with the addresses of another cluster comes here too, and must not displace a healthy one of that.
    `check first that --members and --advertise name the cluster that this node is for, then its id and folder; only if disk ${own} is lost for good, run "varlog node replace ${id} --disk ${disk}"`,
  );
}

export function copyOfNode(node: StorageNodeState): StorageNodeState {
  return { ...node, formerDisks: [...node.formerDisks], removed: [...node.removed] };
}

/** These nodes are to remove what they have of a log stream. */
export function takeAway(
  nodes: ReadonlyMap<number, StorageNodeState>,
  logStreamId: number,
  from: readonly number[],
): void {
  for (const node of from) nodes.get(node)?.removed.push(logStreamId);
}

/** These nodes hold a log stream again: what they still have of it is not to be removed. */
export function giveBack(
  nodes: ReadonlyMap<number, StorageNodeState>,
  logStreamId: number,
  to: readonly number[],
): void {
  for (const node of to) {
    const { removed } = nodes.get(node)!;
    if (removed.includes(logStreamId)) removed.splice(removed.indexOf(logStreamId), 1);
  }
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
  return unknown === undefined ? undefined : noStorageNode(unknown, nodes.keys());
}
