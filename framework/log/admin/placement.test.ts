import fc from 'fast-check';
import { Metadata } from '../core/index.ts';
import { place } from './placement.ts';

function nodes(count: number): Metadata {
  const metadata = new Metadata();
  for (let id = 1; id <= count; id++) {
    metadata.apply({ kind: 'registerStorageNode', id, address: `node-${id}` });
  }
  metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
  return metadata;
}

function viewOf(metadata: Metadata, up: ReadonlySet<number>) {
  return { metadata, isUp: (node: number) => up.has(node) };
}

test('replicas and primaries spread evenly over the nodes that are up', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 30 }),
      fc.boolean(),
      (count, factor, streams, atOnce) => {
        fc.pre(factor <= count);
        const placing: number[][] = [];
        const metadata = nodes(count);
        const alive = new Set(metadata.storageNodes.keys());
        const load = new Map<number, number>([...alive].map((it) => [it, 0]));
        const primaries = new Map<number, number>(load);
        for (let i = 0; i < streams; i++) {
          const replicas = place(viewOf(metadata, alive), factor, placing);
          expect(new Set(replicas).size).toBe(factor);
          if (atOnce) placing.push(replicas);
          else metadata.apply({ kind: 'registerLogStream', id: 0, topicId: 1, replicas });
          for (const it of replicas) load.set(it, load.get(it)! + 1);
          primaries.set(replicas[0]!, primaries.get(replicas[0]!)! + 1);
        }
        const spread = (of: Map<number, number>): number =>
          Math.max(...of.values()) - Math.min(...of.values());
        expect(spread(load)).toBeLessThanOrEqual(1);
        if (factor === count) expect(spread(primaries)).toBeLessThanOrEqual(1);
      },
    ),
  );
});

test('nodes that are down or drained get nothing, and too few are refused with what to do', () => {
  const metadata = nodes(3);
  expect(place(viewOf(metadata, new Set([1, 3])), 2).sort()).toEqual([1, 3]);
  expect(() => place(viewOf(metadata, new Set([1, 3])), 3)).toThrow(
    expect.objectContaining({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('start more storage nodes'),
    }),
  );
  metadata.apply({ kind: 'drainStorageNode', id: 2, cancel: false });
  expect(place(viewOf(metadata, new Set([1, 2, 3])), 2).sort()).toEqual([1, 3]);
});
