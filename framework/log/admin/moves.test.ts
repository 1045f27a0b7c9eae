import fc from 'fast-check';
import { World } from '../../testing/simulator/world.ts';
import { isMoving, takesPart, whyStays } from '../core/index.ts';
import type { MetadataRepository } from '../metadata-repository/index.ts';
import { Moves } from './moves.ts';
import {
  clusters,
  PromptCluster,
  REBALANCE_BYTES,
  RUNS,
  spread,
} from './prompt-cluster.fixture.ts';

test('wherever log streams lie, nodes come to have nearly as many, primaries too, and nothing moves any more', () => {
  fc.assert(
    fc.property(clusters, fc.integer({ min: 0, max: 3 }), (cluster, more) => {
      cluster.settle();
      for (let i = 0; i < more; i++) cluster.join(10 + i);
      cluster.settle();
      const nodes = [...cluster.up];
      expect(spread(nodes.map((it) => cluster.loadOf(it)))).toBeLessThanOrEqual(1);
      for (const { members, replicas } of cluster.streams) expect(members).toEqual(replicas);
      // Of two nodes that share a log stream, none is primary two times more than the other.
      for (const { replicas } of cluster.streams) {
        const [primary, ...others] = replicas.map((it) => cluster.primariesOf(it));
        for (const it of others) expect(primary! - it).toBeLessThanOrEqual(1);
      }
    }),
    { numRuns: RUNS },
  );
});

test('drained nodes are emptied, or it is said why not, and get everything back that is too much elsewhere', () => {
  fc.assert(
    fc.property(
      clusters,
      fc.array(fc.integer({ min: 1, max: 7 })),
      fc.nat(3),
      (cluster, ids, dead) => {
        cluster.settle();
        const nodes = [...cluster.up];
        const drained = nodes.filter((it) => ids.includes(it));
        for (const it of drained) cluster.drain(it);
        // One of them may be down.
        if (drained[dead] !== undefined) cluster.up.delete(drained[dead]);
        cluster.settle();
        for (const stream of cluster.streams) {
          expect(isMoving(stream)).toBe(false);
          for (const node of stream.replicas.filter((it) => drained.includes(it))) {
            expect(whyStays(stream, node, cluster.view)).toMatch(
              /no other node|no replica|waits for/,
            );
          }
          const [primary] = stream.members;
          if (!drained.includes(primary!)) continue;
          const others = stream.members.filter((it) => !drained.includes(it));
          expect(others.filter((it) => takesPart(stream, it, cluster.view))).toEqual([]);
        }
        const usable = nodes.length - drained.length;
        const factor = cluster.streams[0]!.replicationFactor;
        const isAlone = factor === 1 && drained[dead] !== undefined;
        if (usable >= factor && !isAlone) {
          for (const it of drained) expect(cluster.loadOf(it)).toBe(0);
        }
        for (const it of drained) cluster.drain(it, true);
        for (const it of drained) cluster.up.add(it);
        cluster.settle();
        expect(spread(nodes.map((it) => cluster.loadOf(it)))).toBeLessThanOrEqual(1);
      },
    ),
    { numRuns: RUNS },
  );
});

test('the factor of a topic is raised and lowered, and its log streams follow', () => {
  fc.assert(
    fc.property(
      clusters,
      fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 3 }),
      (cluster, factors) => {
        cluster.settle();
        for (const replicationFactor of factors) {
          cluster.metadata.apply({ kind: 'setReplicationFactor', topicId: 1, replicationFactor });
          // Until then, there are fewer.
          while (
            cluster.streams.some(
              (it) => it.replicas.length < Math.min(it.replicationFactor, cluster.up.size),
            )
          ) {
            cluster.round();
            if (++cluster.rounds > 2_000) throw new Error('it moves for ever');
          }
        }
        for (let i = 0; i < 500; i++) cluster.round();
        expect(cluster.round()).toBe(false);
        for (const it of cluster.streams) {
          expect(it.replicas.length).toBe(Math.min(it.replicationFactor, cluster.up.size));
          expect(it.members).toEqual(it.replicas);
        }
      },
    ),
    { numRuns: RUNS },
  );
});

test('what an operator prefers is his, and no primary is moved for evenness from there', () => {
  const cluster = new PromptCluster(3);
  for (let i = 0; i < 6; i++) cluster.make([1, 2, 3]);
  for (let id = 1; id <= 6; id++) cluster.metadata.apply({ kind: 'preferPrimary', id, node: 1 });
  cluster.settle();
  expect([1, 2, 3].map((it) => cluster.primariesOf(it))).toEqual([6, 0, 0]);
  cluster.drain(1);
  cluster.settle();
  expect([1, 2, 3].map((it) => cluster.primariesOf(it))).toEqual([0, 6, 0]);
});

test('nothing is moved for evenness before it was calm for a while, nor where that is switched off', async () => {
  const world = new World(1);
  const { clock } = world.ports('test');
  const uneven = (): PromptCluster => {
    const cluster = new PromptCluster(3);
    for (let i = 0; i < 4; i++) cluster.make([1]);
    for (const { id } of cluster.streams) cluster.open(id, { kind: 'unseal', members: [1] });
    return cluster;
  };
  const begin = (cluster: PromptCluster, rebalance: boolean) => {
    const { metadata } = cluster;
    const moves = new Moves({ metadata } as MetadataRepository, clock, {
      rebalance,
      rebalanceBytes: REBALANCE_BYTES,
    });
    const moved: number[] = [];
    const look = (isAtRest = true): number => {
      moved.length = 0;
      const known = {
        isAtRest: () => isAtRest,
        isBusy: false,
        mayJoin: () => true,
        inOrder: (_: unknown, all: readonly number[]) => [...all],
      };
      moves.look(cluster.view, known, { move: ({ id }) => moved.push(id), handOver: () => {} });
      return moved.length;
    };
    moves.clear();
    look();
    return look;
  };
  const on = begin(uneven(), true);
  const cluster = uneven();
  const off = begin(cluster, false);
  await world.run(4_000);
  expect(on()).toBe(0);
  await world.run(2_000);
  expect([on(), off()]).toEqual([2, 0]);
  expect(on(false)).toBe(0);
  await world.run(4_000);
  expect(on()).toBe(0);
  // What has to be moved is moved all the same.
  cluster.drain(1);
  expect(off()).toBe(2);
  world.close();
});
