import fc from 'fast-check';
import { World } from '../../testing/simulator/world.ts';
import { type LogStreamState, nextMoves } from '../core/index.ts';
import type { MetadataRepository } from '../metadata-repository/index.ts';
import { Moves } from './moves.ts';
import {
  clusters,
  PromptCluster,
  REBALANCE_BYTES,
  RUNS,
  spread,
} from './prompt-cluster.fixture.ts';

/** Nodes 1 to `sizes.length`, each with log streams of these sizes and no others. */
function clusterOf(...sizes: number[][]): PromptCluster {
  const cluster = new PromptCluster(sizes.length);
  let id = 0;
  for (const [i, ofNode] of sizes.entries()) {
    for (const bytes of ofNode) {
      cluster.make([i + 1]);
      cluster.sizes.set(++id, bytes);
    }
  }
  for (const { id, replicas } of cluster.streams) {
    cluster.open(id, { kind: 'unseal', members: replicas });
  }
  return cluster;
}

const bytesOf = (cluster: PromptCluster): number[] =>
  [...cluster.up].map((it) => cluster.bytesOf(it));

const next = (cluster: PromptCluster) => nextMoves(cluster.view, true, REBALANCE_BYTES);

/** Two nodes of which one is to give something to the other one, by the rules as the manual has them. */
function unevenPair(cluster: PromptCluster): string | undefined {
  const nodes = [...cluster.up];
  const only = (on: number, not: number): LogStreamState[] =>
    cluster.streams.filter((it) => it.replicas.includes(on) && !it.replicas.includes(not));
  for (const from of nodes) {
    for (const to of nodes) {
      const [more, less] = [cluster.bytesOf(from), cluster.bytesOf(to)];
      if (more < 1.5 * less || more - less < REBALANCE_BYTES) continue;
      const isMovable = cluster.loadOf(from) > cluster.loadOf(to);
      for (const given of only(from, to)) {
        for (const taken of [undefined, ...only(to, from)]) {
          if (taken === undefined && !isMovable) continue;
          const [a, b] = [cluster.sizes.get(given.id)!, cluster.sizes.get(taken?.id ?? 0) ?? 0];
          const isWorth = a - b >= REBALANCE_BYTES / 16 && a - b >= (a + b) / 8;
          if (isWorth && 2 * (a - b) <= more - less) {
            return `${from} has ${more}, and ${to} has ${less}: ${a} for ${b}`;
          }
        }
      }
    }
  }
  return undefined;
}

const sizesOf = (max: number) => fc.array(fc.nat(max), { minLength: 20, maxLength: 20 });

test('whatever log streams have, bytes and counts come to rest together, and nothing is left that would be worth it', () => {
  fc.assert(
    fc.property(clusters, sizesOf(1_000), fc.nat(3), (cluster, sizes, more) => {
      for (const { id } of cluster.streams) cluster.sizes.set(id, sizes[id - 1]!);
      cluster.settle();
      for (let i = 0; i < more; i++) cluster.join(10 + i);
      cluster.settle();
      expect(unevenPair(cluster)).toBeUndefined();
      expect(spread([...cluster.up].map((it) => cluster.loadOf(it)))).toBeLessThanOrEqual(1);
      expect(next(cluster)).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});

test('nodes of which one has one and a half times as much as another one become even, where log streams are small', () => {
  const few = fc.array(fc.nat(REBALANCE_BYTES / 2), { maxLength: 8 });
  fc.assert(
    fc.property(fc.array(few, { minLength: 2, maxLength: 5 }), (sizes) => {
      const cluster = clusterOf(...sizes);
      cluster.settle();
      const bytes = bytesOf(cluster);
      const [most, least] = [Math.max(...bytes), Math.min(...bytes)];
      expect(most - least < REBALANCE_BYTES || most < 1.5 * least).toBe(true);
    }),
    { numRuns: RUNS * 5 },
  );
});

test('leaders who carry out only one of two moves leave nothing that the next one does not bring to rest', () => {
  fc.assert(
    fc.property(clusters, sizesOf(1_000), fc.array(fc.nat(2)), (cluster, sizes, halves) => {
      for (const { id } of cluster.streams) cluster.sizes.set(id, sizes[id - 1]!);
      let turn = 0;
      cluster.carriesOut = (moves) => {
        const half = halves[turn++] ?? 2;
        return moves.length === 2 && half < 2 ? moves.slice(half, half + 1) : moves;
      };
      cluster.settle();
      expect(unevenPair(cluster)).toBeUndefined();
      expect(spread([...cluster.up].map((it) => cluster.loadOf(it)))).toBeLessThanOrEqual(1);
    }),
    { numRuns: RUNS },
  );
});

test('two log streams change places, and another leader does the other half as this one would have', () => {
  // By counts alone, node 1 could as well be given something of node 3.
  const uneven = () => clusterOf([600, 500, 30], [20, 40, 300], [300, 300, 300, 100]);
  const moves = next(uneven());
  expect(moves).toMatchObject([
    { id: 1, replicas: [1, 2], leaving: [1] },
    { id: 6, replicas: [2, 1], leaving: [2] },
  ]);
  for (const [i, { why: _, ...half }] of moves.entries()) {
    const cluster = uneven();
    cluster.metadata.apply({ kind: 'moveReplicas', ...half });
    const { id, replicas } = moves[1 - i]!;
    expect(next(cluster)).toMatchObject([{ id, replicas }]);
    cluster.settle();
    expect(bytesOf(cluster)).toEqual([830, 760, 900]);
  }
});

test('a node with one log stream more gives one for nothing, and then has one less', () => {
  const cluster = clusterOf([200, 300, 100], [60, 40]);
  expect(next(cluster)).toMatchObject([{ id: 1, replicas: [1, 2], leaving: [1] }]);
  cluster.settle();
  expect(bytesOf(cluster)).toEqual([400, 300]);
});

test('of log streams that move because nodes have too many, the one goes that leaves bytes most even', () => {
  const cluster = clusterOf([10, 500, 90, 200], [80, 120]);
  expect(next(cluster)).toMatchObject([{ id: 4 }]);
});

test.each([
  ['the difference is small', [[160], [1]]],
  [
    'it is less than half',
    [
      [1_000, 400],
      [900, 100],
    ],
  ],
  [
    'what changes places is nearly as large',
    [
      [1_000, 900],
      [890, 5],
    ],
  ],
  ['more than half of the difference would move', [[1_000], [10]]],
])('nothing is moved where %s', (_, sizes) => {
  expect(next(clusterOf(...sizes))).toEqual([]);
});

test('of a log stream of which nobody says how large it is, nothing follows for its nodes', () => {
  const cluster = clusterOf([600, 500], [20, 300], [0, 0]);
  cluster.sizes.delete(4);
  for (const { replicas } of next(cluster)) expect(replicas).not.toContain(2);
  cluster.sizes.delete(5);
  expect(next(cluster)).toEqual([]);
});

test('an exchange waits until nothing else is moved', () => {
  const cluster = clusterOf([600, 500, 30], [20, 40, 300], [900, 1]);
  const { revision } = cluster.metadata.logStreams.get(3)!;
  const move = { id: 3, revision, replicas: [1, 3], leaving: [1] } as const;
  cluster.metadata.apply({ kind: 'moveReplicas', ...move });
  expect(next(cluster)).toEqual([]);
  cluster.settle();
  expect(unevenPair(cluster)).toBeUndefined();
});

test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
  'a difference of %p bytes is refused',
  (rebalanceBytes) => {
    const world = new World(1);
    const { clock } = world.ports('test');
    const { metadata } = clusterOf([1]);
    const options = { rebalance: true, rebalanceBytes };
    expect(() => new Moves({ metadata } as MetadataRepository, clock, options)).toThrow(
      /cannot be rebalanceBytes.*whole number of bytes/s,
    );
    world.close();
  },
);
