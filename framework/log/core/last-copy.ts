import type { PlacementView } from './loads.ts';
import type { LogStreamState } from './log-stream-state.ts';

/**
 * The log streams with records that would be lost with the disk of a storage node, as far as is known: no other replica
 * that is up has all that was ordered.
 */
export function lastCopiesOn(
  node: number,
  view: Pick<PlacementView, 'metadata' | 'isUp' | 'report'>,
): LogStreamState[] {
  return [...view.metadata.logStreams.values()].filter((stream) => {
    if (stream.end === 0 || !stream.replicas.includes(node)) return false;
    return !stream.replicas.some((it) => it !== node && view.isUp(it) && isWhole(stream, it, view));
  });
}

function isWhole(
  { id, end, epoch }: LogStreamState,
  node: number,
  { report }: Pick<PlacementView, 'report'>,
): boolean {
  const known = report(id, node);
  if (known === undefined || known.end < end) return false;
  // What one has that learns is copied from others, and ordered. Any other may have something else behind an epoch of before.
  if (known.state === 'learning') return true;
  return known.epoch === epoch && known.state !== 'failed' && known.state !== 'damaged';
}
