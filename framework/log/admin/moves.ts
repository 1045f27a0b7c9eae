import type { Clock, Logger } from '../../base/index.ts';
import {
  checkRebalanceBytes,
  isMoving,
  type LogStreamState,
  MOVES_FROM,
  type Move,
  nextHandover,
  nextMoves,
  type PlacementView,
  usableNodes,
} from '../core/index.ts';
import type { MetadataRepository } from '../metadata-repository/index.ts';

/** Log streams are moved for evenness only when nothing else has been to do for so long, and no node came or went. */
const CALM_MS = 5_000;
/** The next primary is changed when the log stream of the last one is well again, or after so long. */
const HANDOVER_MS = 1_000;

export interface MovesOptions {
  /** Whether log streams are moved for evenness at all. */
  readonly rebalance: boolean;
  /** Nodes whose bytes differ by less are even. */
  readonly rebalanceBytes: number;
}

/** What the repair knows beside it. */
export interface RepairKnowledge {
  /** Whether anything is being carried out. */
  readonly isBusy: boolean;
  isAtRest(stream: LogStreamState): boolean;
  mayJoin(stream: LogStreamState, node: number): boolean;
  inOrder(stream: LogStreamState, nodes: readonly number[]): number[];
}

/** What it asks for: to be carried out where nothing else is being done about that log stream. */
export interface Moving {
  move(move: Move): void;
  /** Has a log stream sealed, so that it opens again with `to` as its primary. */
  handOver(stream: LogStreamState, to: number, why: string): void;
}

/** When log streams are moved: at once where they have to, and for evenness only in calm. */
export class Moves {
  private readonly repository: MetadataRepository;
  private readonly clock: Clock;
  private readonly options: MovesOptions;
  private nodes = '';
  private calmSince = 0;
  /** The last one, until its log stream is well again. */
  private handover:
    | { readonly id: number; readonly epoch: number; readonly at: number }
    | undefined;

  /** Throws `CONFIG_INVALID` where the options make no sense. */
  constructor(repository: MetadataRepository, clock: Clock, options: MovesOptions) {
    checkRebalanceBytes(options.rebalanceBytes);
    this.repository = repository;
    this.clock = clock;
    this.options = options;
  }

  /** Another leader, or the same one anew, knows nothing of how calm it was. */
  clear(): void {
    this.calmSince = this.clock.now();
    this.handover = undefined;
  }

  /** Returns whether nothing is to be done. */
  look(view: PlacementView, known: RepairKnowledge, { move, handOver }: Moving): boolean {
    const { metadata } = this.repository;
    if (metadata.featureLevel < MOVES_FROM) return true;
    // Of what is being carried out the state does not show yet: by what replicas have grown since, it may be another step.
    const isCalm = this.isCalm(view, known) && !known.isBusy;
    const moves = nextMoves(view, isCalm, this.options.rebalanceBytes);
    for (const it of moves) move(it);
    if (this.handover !== undefined) return moves.length === 0;
    const next = nextHandover(view, isCalm, {
      inOrder: (stream, nodes) => known.inOrder(stream, nodes),
      may: (stream, node) => known.mayJoin(stream, node),
    });
    if (next === undefined) return moves.length === 0;
    const { id, to, why } = next;
    const stream = metadata.logStreams.get(id)!;
    this.handover = { id, epoch: stream.epoch, at: this.clock.now() };
    handOver(stream, to, why);
    return false;
  }

  private isCalm(view: PlacementView, known: RepairKnowledge): boolean {
    const now = this.clock.now();
    if (this.isHandedOver(view, known)) this.handover = undefined;
    const isQuiet = [...view.metadata.logStreams.values()].every(
      (it) => isMoving(it) || it.id === this.handover?.id || known.isAtRest(it),
    );
    const nodes = String(usableNodes(view));
    if (!isQuiet || nodes !== this.nodes) this.calmSince = now;
    this.nodes = nodes;
    return this.options.rebalance && now - this.calmSince >= CALM_MS;
  }

  /** Whether the last one is through, or nobody waits for it any more. */
  private isHandedOver({ metadata }: PlacementView, known: RepairKnowledge): boolean {
    if (this.handover === undefined) return false;
    const { id, epoch, at } = this.handover;
    const stream = metadata.logStreams.get(id);
    if (stream === undefined || this.clock.now() - at >= HANDOVER_MS) return true;
    return stream.epoch > epoch && known.isAtRest(stream);
  }
}

/** Carries a step out, on condition that the log stream is as it was. */
export async function carryOutMove(
  repository: MetadataRepository,
  { id, why, ...step }: Move,
  logger: Logger,
): Promise<void> {
  const { replicas, leaving, revision } = step;
  logger.log('info', 'moves log stream', { logStream: id, replicas, leaving, why });
  const by = `the balance of member ${repository.options.memberId}`;
  const command = { kind: 'moveReplicas', id, replicas, leaving, revision, by } as const;
  await repository.execute(command, { sender: 'leader' });
}
