import type {
  ClusterStatus,
  LogStreamStatus,
  MemberStatus,
  ReplicaStatus,
  StorageNodeStatus,
} from '../../log/index.ts';

/** A write or sync that takes so long is not well, whatever the disk. */
export const SLOW_WRITE_MS = 1_000;

/** What is not as it should be in a cluster, a sentence each, with what to do. */
export function problemsOf({ members, storageNodes, topics }: ClusterStatus): string[] {
  const streams = topics.flatMap((topic) => topic.logStreams);
  return [
    ...members.flatMap(ofMember),
    ...storageNodes.flatMap(ofStorageNode),
    ...streams.flatMap(ofLogStream),
    ...streams.flatMap((it) => it.replicas.flatMap((replica) => ofReplica(it, replica))),
  ];
}

function ofMember({ id, address, state, trouble }: MemberStatus): string[] {
  const name = `metadata repository member ${id} at ${address}`;
  if (state === 'up') return trouble === undefined ? [] : [`${name}: ${trouble}`];
  const why = trouble === undefined ? '' : `: ${trouble}`;
  return [`${name} is not up (${state}): start it, or see its log${why}`];
}

function ofStorageNode({
  id,
  address,
  alive,
  refusal,
  slowestWriteMs = 0,
}: StorageNodeStatus): string[] {
  const name = `storage node ${id} at ${address}`;
  if (!alive && refusal !== undefined) return [`${name} is refused: ${refusal}`];
  if (!alive) return [`${name} is down: start it, or see its log`];
  if (slowestWriteMs < SLOW_WRITE_MS) return [];
  const long = (slowestWriteMs / 1_000).toFixed(1);
  return [
    `the disk of ${name} took ${long} s for a write: every append waits for such; look for what else uses it, or move the node to another disk`,
  ];
}

function ofLogStream({ id, state, held }: LogStreamStatus): string[] {
  if (held) return [`log stream ${id} was sealed by an operator: unseal it to append to it`];
  if (state === 'open') return [];
  return [`log stream ${id} takes no appends: too few of its replicas are whole`];
}

function ofReplica(stream: LogStreamStatus, replica: ReplicaStatus): string[] {
  const { node, full, failure, state, end, target } = replica;
  const found: string[] = [];
  if (full) {
    found.push(
      `storage node ${node} has no room for log stream ${stream.id}: free space, or trim its topic; it goes on by itself`,
    );
  }
  if (replica.member && state === stream.state) return found;
  const far = end < target ? `, with ${end} of ${target} records` : '';
  const why = failure === undefined ? '' : `: ${failure}`;
  found.push(
    `log stream ${stream.id} has ${stream.inSync} of ${stream.replicas.length} copies: the one on storage node ${node} is ${state}${far}${why}`,
  );
  return found;
}
