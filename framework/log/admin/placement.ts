import { VarlogError } from '../../base/index.ts';
import { Loads, type PlacementView, usableNodes } from '../core/index.ts';

/**
 * Chooses nodes for a new log stream, of those that are up and not drained: those with the fewest replicas, and as
 * primary the one of them that is primary least often. `placing`: the nodes of those that are being made, which the
 * metadata does not have yet.
 */
export function place(
  view: Pick<PlacementView, 'metadata' | 'isUp'>,
  replicationFactor: number,
  placing: Iterable<readonly number[]> = [],
): number[] {
  const loads = new Loads(view, usableNodes(view));
  for (const nodes of placing) {
    loads.add(loads.primaries, nodes[0]!, 1);
    for (const node of nodes) loads.add(loads.replicas, node, 1);
  }
  const nodes = loads.leastFirst('replicas').slice(0, replicationFactor);
  if (nodes.length < replicationFactor) {
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `${replicationFactor} replicas are wanted, but ${nodes.length} storage nodes are up and not drained`,
      next: 'start more storage nodes, or ask for fewer replicas',
    });
  }
  return loads.leastFirst('primaries').filter((it) => nodes.includes(it));
}
