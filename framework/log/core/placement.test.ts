import { opening } from './commands.fixture.ts';
import { Metadata, nextMoves, type PlacementView, whyStays } from './index.ts';

interface Situation {
  down?: number[];
  gone?: number[];
  states?: Record<number, 'open' | 'learning'>;
}

/** Nodes 1 to `nodes`, and log stream 1, open on the first three. */
function cluster(nodes: number): Metadata {
  const metadata = new Metadata();
  for (let id = 1; id <= nodes; id++) {
    metadata.apply({ kind: 'registerStorageNode', id, address: `node-${id}` });
  }
  metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
  metadata.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1, 2, 3] });
  metadata.apply(opening(1, [1, 2, 3]));
  return metadata;
}

function viewOf(metadata: Metadata, { down = [], gone = [], states = {} }: Situation = {}) {
  const view: PlacementView = {
    metadata,
    isUp: (node) => !down.includes(node) && !gone.includes(node),
    isGone: (node) => gone.includes(node),
    bytesOf: () => undefined,
    report: (logStreamId, node) => {
      const { epoch, members } = metadata.logStreams.get(logStreamId)!;
      const state = states[node] ?? (members.includes(node) ? 'open' : 'learning');
      return { logStreamId, epoch, end: 7, persistedVersion: 0, state };
    },
  };
  return view;
}

function drain(metadata: Metadata, id: number): void {
  metadata.apply({ kind: 'drainStorageNode', id, cancel: false });
}

const why = (metadata: Metadata, situation?: Situation) =>
  whyStays(metadata.logStreams.get(1)!, 3, viewOf(metadata, situation));

test('a drain says what it waits for', () => {
  const metadata = cluster(3);
  drain(metadata, 3);
  expect(nextMoves(viewOf(metadata), false)).toEqual([]);
  expect(why(metadata)).toBe(
    'no other node may hold log stream 1: 3 replicas need 3 nodes that are up and not drained, and there are 2',
  );
  metadata.apply({ kind: 'registerStorageNode', id: 4, address: 'node-4' });
  expect(why(metadata, { down: [4] })).toContain('no other node may hold log stream 1');
  expect(why(metadata)).toBeUndefined();
  expect(why(metadata, { down: [2] })).toBe(
    'log stream 1 waits for its replica on storage node 2, which is down',
  );
  expect(why(metadata, { states: { 2: 'learning' } })).toContain('which has not caught up');
  expect(nextMoves(viewOf(metadata, { down: [2] }), false)).toEqual([]);
  const [move] = nextMoves(viewOf(metadata), false);
  expect(move).toMatchObject({ replicas: [1, 2, 3, 4], leaving: [3] });
  metadata.apply({ kind: 'moveReplicas', ...move! });
  expect(why(metadata)).toBe('log stream 1 is copied to storage node 4, which has 7 of 0 records');
  metadata.apply({ kind: 'seal', id: 1, byOperator: false });
  expect(why(metadata)).toContain('it opens by itself');
  metadata.apply({ kind: 'seal', id: 1, byOperator: true });
  expect(why(metadata)).toBe('log stream 1 is sealed by an operator: unseal it');
});

test('a node that is down is drained like any other, where its replicas are no longer needed', () => {
  const metadata = cluster(4);
  drain(metadata, 3);
  metadata.apply({ kind: 'seal', id: 1, byOperator: false });
  metadata.apply(opening(2, [1, 2]));
  expect(nextMoves(viewOf(metadata, { gone: [3] }), false)).toMatchObject([
    { replicas: [1, 2, 3, 4], leaving: [3] },
  ]);
  expect(nextMoves(viewOf(metadata, { gone: [3], down: [1] }), false)).toEqual([]);
});

test('a newcomer whose node is gone or drained is given up, and one that is away for a moment is not', () => {
  const metadata = cluster(5);
  drain(metadata, 3);
  const [move] = nextMoves(viewOf(metadata), false);
  metadata.apply({ kind: 'moveReplicas', ...move! });
  expect(nextMoves(viewOf(metadata, { down: [4] }), false)).toEqual([]);
  const back = [{ replicas: [1, 2, 3], leaving: [] }];
  expect(nextMoves(viewOf(metadata, { gone: [4] }), false)).toMatchObject(back);
  drain(metadata, 4);
  expect(nextMoves(viewOf(metadata), false)).toMatchObject(back);
});

test('a log stream gets the replicas that it lacks as nodes come, one after the other, and loses those too many', () => {
  const metadata = cluster(3);
  const set = (replicationFactor: number) =>
    metadata.apply({ kind: 'setReplicationFactor', topicId: 1, replicationFactor });
  set(5);
  expect(nextMoves(viewOf(metadata), true)).toEqual([]);
  for (const id of [4, 5]) {
    metadata.apply({ kind: 'registerStorageNode', id, address: `node-${id}` });
  }
  expect(nextMoves(viewOf(metadata), false)).toMatchObject([
    { replicas: [1, 2, 3, 4], leaving: [] },
  ]);
  set(2);
  // Neither the primary nor what an operator prefers.
  metadata.apply({ kind: 'raiseFeatureLevel', to: 6 });
  metadata.apply({ kind: 'preferPrimary', id: 1, node: 3 });
  expect(nextMoves(viewOf(metadata), false)).toMatchObject([{ replicas: [3, 1, 2], leaving: [2] }]);
});
