import { VarlogError } from '../../base/index.ts';
import type { Metadata } from '../core/index.ts';

/**
 * Chooses nodes for a new log stream: those with the fewest replicas, and as primary the one of them that is
 * primary least often. `placing`: the nodes of those that are being made, which the metadata does not have yet.
 */
export function place(
  metadata: Metadata,
  replicationFactor: number,
  alive: ReadonlySet<number>,
  placing: Iterable<readonly number[]> = [],
) {
  const replicas = new Map<number, number>();
  const primaries = new Map<number, number>();
  for (const node of metadata.storageNodes.keys()) {
    if (!alive.has(node)) continue;
    replicas.set(node, 0);
    primaries.set(node, 0);
  }
  const count = (nodes: readonly number[]): void => {
    const preferred = nodes[0]!;
    if (primaries.has(preferred)) primaries.set(preferred, primaries.get(preferred)! + 1);
    for (const node of nodes) {
      if (replicas.has(node)) replicas.set(node, replicas.get(node)! + 1);
    }
  };
  for (const stream of metadata.logStreams.values()) count(stream.replicas);
  for (const nodes of placing) count(nodes);
  if (replicas.size < replicationFactor) {
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `${replicationFactor} replicas are wanted, but ${replicas.size} storage nodes are up`,
      next: 'start more storage nodes, or ask for fewer replicas',
    });
  }
  const by = (load: Map<number, number>) => (a: number, b: number) =>
    load.get(a)! - load.get(b)! || a - b;
  return [...replicas.keys()].sort(by(replicas)).slice(0, replicationFactor).sort(by(primaries));
}
