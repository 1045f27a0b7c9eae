import type { Report } from './cut-planner.ts';
import { type LogStreamState, stayingOf } from './log-stream-state.ts';
import type { StorageNodeState } from './storage-nodes.ts';

/** What a placement follows from: the metadata, and what the leader has heard. */
export interface PlacementView {
  readonly metadata: {
    readonly storageNodes: ReadonlyMap<number, StorageNodeState>;
    readonly logStreams: ReadonlyMap<number, LogStreamState>;
  };
  isUp(node: number): boolean;
  /** Whether a node is down for so long that a copy to it is given up. */
  isGone(node: number): boolean;
  /** Bytes that a node has of a log stream; `undefined`: not known. It may be old by some seconds. */
  bytesOf(logStreamId: number, node: number): number | undefined;
  report(logStreamId: number, node: number): Report | undefined;
}

/** How much storage nodes have to do. */
export class Loads {
  /** Of each node, replicas that stay with it; and log streams of which it is to be the primary. */
  readonly replicas: Map<number, number>;
  readonly primaries: Map<number, number>;

  constructor({ metadata }: Pick<PlacementView, 'metadata'>, nodes: Iterable<number>) {
    this.replicas = new Map([...nodes].map((it) => [it, 0]));
    this.primaries = new Map(this.replicas);
    for (const stream of metadata.logStreams.values()) {
      for (const node of stayingOf(stream)) this.add(this.replicas, node, 1);
      const primary = inOrderOfPrimaries(stream, stream.replicas, metadata)[0];
      if (primary !== undefined) this.add(this.primaries, primary, 1);
    }
  }

  /** The nodes, those with the least of something first. */
  leastFirst(of: 'replicas' | 'primaries'): number[] {
    const load = this[of];
    return [...load.keys()].sort((a, b) => load.get(a)! - load.get(b)! || a - b);
  }

  add(load: Map<number, number>, node: number, count: number): void {
    if (load.has(node)) load.set(node, load.get(node)! + count);
  }
}

/** Storage nodes that may be given replicas. */
export function usableNodes({
  metadata,
  isUp,
}: Pick<PlacementView, 'metadata' | 'isUp'>): number[] {
  return [...metadata.storageNodes.values()]
    .filter(({ id, draining }) => !draining && isUp(id))
    .map(({ id }) => id);
}

/** The same nodes, those last that had better not become primary, because they are about to go. */
export function inOrderOfPrimaries(
  { leaving }: LogStreamState,
  nodes: readonly number[],
  { storageNodes }: PlacementView['metadata'],
): number[] {
  const goes = (it: number): boolean =>
    leaving.includes(it) || storageNodes.get(it)?.draining === true;
  return [...nodes.filter((it) => !goes(it)), ...nodes.filter(goes)];
}

/** Whether a replica is up and takes part in the epoch that is open. */
export function takesPart(stream: LogStreamState, node: number, view: PlacementView): boolean {
  if (stream.sealed || !stream.members.includes(node) || !view.isUp(node)) return false;
  const report = view.report(stream.id, node);
  return report?.state === 'open' && report.epoch === stream.epoch;
}
