import fc from 'fast-check';
import { World } from '../../testing/simulator/world.ts';
import {
  isMoving,
  Metadata,
  nextHandover,
  nextMoves,
  type PlacementView,
  type Report,
  stayingOf,
  takesPart,
  whyStays,
} from '../core/index.ts';
import type { MetadataRepository } from '../metadata-repository/index.ts';
import { Moves } from './moves.ts';
import { isAtRest, type Repair, type RepairContext, repairOf } from './repair.ts';

const ROUNDS_MAX = 2_000;
/** Each is a cluster through dozens of moves. */
const RUNS = Number(process.env['WALKS'] ?? 40);

/** A cluster in which everything that the repair and the moves ask for is done at once, and succeeds. */
class PromptCluster {
  readonly metadata = new Metadata();
  readonly up = new Set<number>();
  rounds = 0;

  constructor(nodes: number) {
    for (let id = 1; id <= nodes; id++) this.join(id);
    this.metadata.apply({ kind: 'raiseFeatureLevel', to: 6 });
    this.metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
  }

  join(id: number): void {
    this.metadata.apply({ kind: 'registerStorageNode', id, address: `node-${id}` });
    this.up.add(id);
  }

  make(replicas: readonly number[]): void {
    this.metadata.apply({ kind: 'registerLogStream', id: 0, topicId: 1, replicas });
  }

  drain(id: number, cancel = false): void {
    this.metadata.apply({ kind: 'drainStorageNode', id, cancel });
  }

  get view(): PlacementView {
    return {
      metadata: this.metadata,
      isUp: (node) => this.up.has(node),
      isGone: (node) => !this.up.has(node),
      report: (id, node) => this.report(id, node),
    };
  }

  get streams() {
    return [...this.metadata.logStreams.values()];
  }

  /** Until nothing is to be done any more. */
  settle(): void {
    while (this.round()) {
      this.rounds++;
      if (this.rounds > ROUNDS_MAX) throw new Error('it moves for ever');
      this.check();
    }
  }

  loadOf(node: number): number {
    return this.streams.filter((it) => it.replicas.includes(node)).length;
  }

  primariesOf(node: number): number {
    return this.streams.filter((it) => it.members[0] === node).length;
  }

  private round(): boolean {
    const { context, metadata, view } = this;
    let isDone = true;
    for (const stream of this.streams) {
      const action = repairOf(stream, context);
      if (action === undefined) continue;
      isDone = false;
      if (action.kind === 'seal') this.seal(stream.id);
      else this.open(stream.id, action);
    }
    const isCalm = this.streams.every((it) => isMoving(it) || isAtRest(it, context));
    for (const { why: _, ...move } of nextMoves(view, isCalm)) {
      isDone = false;
      const { result } = metadata.apply({ kind: 'moveReplicas', ...move });
      expect(result).toEqual({ ok: true, value: 0 });
    }
    const handover = nextHandover(view, isCalm, { may: () => true, inOrder: (_, all) => [...all] });
    if (handover === undefined) return !isDone;
    this.seal(handover.id);
    this.open(handover.id, repairOf(metadata.logStreams.get(handover.id)!, context)!);
    expect(metadata.logStreams.get(handover.id)!.members[0]).toBe(handover.to);
    return true;
  }

  private seal(id: number): void {
    this.metadata.apply({ kind: 'seal', id, byOperator: false });
  }

  open(id: number, action: Repair): void {
    if (action.kind !== 'unseal') throw new Error(`log stream ${id} is to be sealed`);
    const { members } = action;
    const { epoch } = this.metadata.logStreams.get(id)!;
    const disks = members.map(() => '');
    const opening = { id, epoch: epoch + 1, members, disks, primaryProcess: '' };
    this.metadata.apply({ kind: 'unseal', ...opening });
  }

  /** Few are copied at once, and none goes early. */
  private check(): void {
    const copied = this.streams.filter((it) => it.joining.some((node) => this.up.has(node)));
    expect(copied.length).toBeLessThanOrEqual(2);
    for (const it of this.streams) {
      expect(it.replicas.length - it.joining.length).toBeGreaterThanOrEqual(it.replicationFactor);
      expect(stayingOf(it).length).toBeGreaterThanOrEqual(it.replicationFactor);
    }
  }

  private report(logStreamId: number, node: number): Report | undefined {
    const { epoch, sealed, end, members } = this.metadata.logStreams.get(logStreamId)!;
    const state = sealed ? 'sealed' : members.includes(node) ? 'open' : 'learning';
    return { logStreamId, epoch, end, persistedVersion: 0, state };
  }

  private get context(): RepairContext {
    return {
      metadata: this.metadata,
      unheardForMs: (node) => (this.up.has(node) ? 0 : 100_000),
      report: (id, node) => (this.up.has(node) ? this.report(id, node) : undefined),
      settledFor: () => 100_000,
      stuckFor: () => undefined,
      mayJoin: () => true,
      lag: () => 0,
      inOrder: (_, nodes) => [...nodes],
    };
  }
}

/** Log streams anywhere on some nodes. */
const clusters = fc
  .record({
    nodes: fc.integer({ min: 1, max: 7 }),
    factor: fc.integer({ min: 1, max: 4 }),
    seeds: fc.array(fc.nat(), { minLength: 1, maxLength: 20 }),
  })
  .filter(({ nodes, factor }) => factor <= nodes)
  .map(({ nodes, factor, seeds }) => {
    const cluster = new PromptCluster(nodes);
    for (const seed of seeds) {
      const all = Array.from({ length: nodes }, (_, i) => i + 1);
      const from = seed % nodes;
      cluster.make([...all.slice(from), ...all.slice(0, from)].slice(0, factor));
    }
    return cluster;
  });

const spread = (counts: readonly number[]): number => Math.max(...counts) - Math.min(...counts);

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
            cluster['round']();
            if (++cluster.rounds > ROUNDS_MAX) throw new Error('it moves for ever');
          }
        }
        for (let i = 0; i < 500; i++) cluster['round']();
        expect(cluster['round']()).toBe(false);
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
    const moves = new Moves({ metadata } as MetadataRepository, clock, rebalance);
    const moved: number[] = [];
    const look = (isAtRest = true): number => {
      moved.length = 0;
      const known = {
        isAtRest: () => isAtRest,
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
