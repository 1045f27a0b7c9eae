import type { Metadata, PlacementView } from '../core/index.ts';
import type { Orderer } from './orderer.ts';

/** A copy to a node that is down for so long is given up. A process that was started again goes on with it. */
const GONE_AFTER_MS = 30_000;

/** What the leader knows that a placement follows from. */
export function placementView(metadata: Metadata, orderer: Orderer): PlacementView {
  return {
    metadata,
    isUp: (node) => orderer.isUp(node),
    isGone: (node) => orderer.unheardForMs(node) >= GONE_AFTER_MS,
    bytesOf: (id, node) => orderer.bytesOf(id, node),
    report: (id, node) => orderer.planner.reportOf(id, node),
  };
}
