import { VarlogError } from '../../base/index.ts';
import type { Metadata } from '../core/index.ts';

/**
 * Chooses nodes for a new log stream: those with the fewest replicas, and as primary the one of them that is
 * primary least often.
 */
export function place(metadata: Metadata, replicationFactor: number, alive: ReadonlySet<number>) {
  const replicas = new Map<number, number>();
  const primaries = new Map<number, number>();
  for (const node of metadata.storageNodes.keys()) {
    if (!alive.has(node)) continue;
    replicas.set(node, 0);
    primaries.set(node, 0);
  }
  for (const stream of metadata.logStreams.values()) {
    const preferred = stream.replicas[0]!;
    if (primaries.has(preferred)) primaries.set(preferred, primaries.get(preferred)! + 1);
    for (const node of stream.replicas) {
      if (replicas.has(node)) replicas.set(node, replicas.get(node)! + 1);
    }
  }
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
