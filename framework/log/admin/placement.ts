import { VarlogError } from '../../base/index.ts';
import { Loads, type PlacementView, usableNodes } from '../core/index.ts';

/**
 * Chooses nodes for a new log stream, of those that are up and not drained: those with the fewest replicas, and as
 * primary the one of them that is primary least often.
 */
export function place(
  view: Pick<PlacementView, 'metadata' | 'isUp'>,
  replicationFactor: number,
): number[] {
  const loads = new Loads(view, usableNodes(view));
  const nodes = loads.leastFirst('replicas').slice(0, replicationFactor);
  if (nodes.length < replicationFactor) {
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `${replicationFactor} replicas are wanted, but ${nodes.length} storage nodes are up and not drained`,
      next: 'start more storage nodes, or ask for fewer replicas',
    });
  }
  return loads.leastFirst('primaries').filter((it) => nodes.includes(it));
}
