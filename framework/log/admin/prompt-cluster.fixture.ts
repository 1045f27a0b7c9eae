import fc from 'fast-check';
import {
  isMoving,
  Metadata,
  type Move,
  nextHandover,
  nextMoves,
  type PlacementView,
  type Report,
  stayingOf,
} from '../core/index.ts';
import { isAtRest, type Repair, type RepairContext, repairOf } from './repair.ts';

/** Storage nodes whose bytes differ by less are even. */
export const REBALANCE_BYTES = 160;
const ROUNDS_MAX = 2_000;
/** Each is a cluster through dozens of moves. */
export const RUNS = Number(process.env['WALKS'] ?? 40);

/** A cluster in which everything that the repair and the moves ask for is done at once, and succeeds. */
export class PromptCluster {
  readonly metadata = new Metadata();
  readonly up = new Set<number>();
  /** Of log streams, in bytes; of others nobody says anything. */
  readonly sizes = new Map<number, number>();
  /** Of the moves that are planned in one look, those that are carried out. */
  carriesOut: (moves: readonly Move[]) => readonly Move[] = (all) => all;
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
      bytesOf: (id) => this.sizes.get(id),
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

  bytesOf(node: number): number {
    const has = this.streams.filter((it) => it.replicas.includes(node));
    return has.reduce((sum, { id }) => sum + (this.sizes.get(id) ?? 0), 0);
  }

  loadOf(node: number): number {
    return this.streams.filter((it) => it.replicas.includes(node)).length;
  }

  primariesOf(node: number): number {
    return this.streams.filter((it) => it.members[0] === node).length;
  }

  /** Does what is to be done now; whether there was anything. */
  round(): boolean {
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
    const moves = nextMoves(view, isCalm, REBALANCE_BYTES);
    for (const { why: _, ...move } of this.carriesOut(moves)) {
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
      processOf: (node) => (this.up.has(node) ? `process-${node}` : ''),
      mayJoin: () => true,
      lag: () => 0,
      inOrder: (_, nodes) => [...nodes],
    };
  }
}

/** Log streams anywhere on some nodes. */
export const clusters = fc
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

export const spread = (counts: readonly number[]): number =>
  Math.max(...counts) - Math.min(...counts);
