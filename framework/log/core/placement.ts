import { ByteBalance, REBALANCE_BYTES } from './byte-balance.ts';
import { inOrderOfPrimaries, Loads, type PlacementView, takesPart, usableNodes } from './loads.ts';
import { type LogStreamState, stayingOf } from './log-stream-state.ts';

/** Log streams that are copied to other nodes at once: the more, the less is left for appends. */
const MOVES_AT_ONCE = 2;
/** Nodes that differ by less are even: else what is moved would be moved back. */
const UNEVEN_FROM = 2;

/** A step on the way to another placement: see the command `moveReplicas`. */
export interface Move {
  readonly id: number;
  readonly revision: number;
  readonly replicas: readonly number[];
  readonly leaving: readonly number[];
  readonly why: string;
}

/** A primary that is to be another one: the log stream is sealed, and opens with `to`. */
export interface Handover {
  readonly id: number;
  readonly to: number;
  readonly why: string;
}

export function isMoving({ joining, leaving }: LogStreamState): boolean {
  return joining.length + leaving.length > 0;
}

/**
 * The next steps by which log streams come to lie where they are to: each has as many replicas as it should, nodes that
 * are drained have none, and, where `calm` says that nothing else is to be done, all others have nearly as many, and about
 * as many bytes, unless these differ by less than `rebalanceBytes`. Moves that were begun are ended, whatever else there
 * is; few are under way at once. Each step follows from the state alone, so that another leader goes on with it, and none
 * undoes another.
 */
export function nextMoves(
  view: PlacementView,
  calm: boolean,
  rebalanceBytes: number = REBALANCE_BYTES,
): Move[] {
  const planner = new MovePlanner(view, rebalanceBytes);
  const streams = [...view.metadata.logStreams.values()];
  const ends = streams.flatMap((it) => planner.end(it) ?? []);
  const ended = new Set(ends.map(({ id }) => id));
  let room = MOVES_AT_ONCE - streams.filter((it) => planner.isUnderWay(it)).length;
  const begun: Move[] = [];
  for (const stream of streams) {
    if (room <= 0) break;
    if (isMoving(stream) || ended.has(stream.id)) continue;
    const move = planner.begin(stream);
    if (move === undefined) continue;
    begun.push(move);
    room--;
  }
  const needed = [...ends, ...begun];
  if (!calm || needed.length > 0) return needed;
  while (room-- > 0) {
    const move = planner.evenCounts();
    if (move === undefined) break;
    needed.push(move);
  }
  if (needed.length > 0 || streams.some(isMoving)) return needed;
  const exchange = planner.evenBytes();
  if (exchange.length > 0) return exchange;
  const move = planner.spread();
  return move === undefined ? [] : [move];
}

/**
 * A log stream that is to get another primary now, of those for which `may` allows it: because that one's node is
 * drained or its replica leaves; or, where nothing else is to be done, because another one is to be.
 */
export function nextHandover(
  view: PlacementView,
  calm: boolean,
  choose: {
    inOrder(stream: LogStreamState, nodes: readonly number[]): number[];
    may(stream: LogStreamState, node: number): boolean;
  },
): Handover | undefined {
  for (const stream of view.metadata.logStreams.values()) {
    const to = successorOf(stream, view, choose.inOrder);
    if (to === undefined || !choose.may(stream, to)) continue;
    const { id, members, preferred, replicas } = stream;
    const [primary] = members;
    if (goesFrom(stream, primary!, view)) {
      return { id, to, why: `storage node ${primary}, its primary, is to hold it no longer` };
    }
    const isWhole = replicas.every((it) => takesPart(stream, it, view));
    if (calm && preferred === 0 && isWhole) {
      return { id, to, why: `storage node ${to} is to be its primary` };
    }
  }
  return undefined;
}

/** Why the replica of a log stream stays on a node that is drained; `undefined`: its turn comes. */
export function whyStays(
  stream: LogStreamState,
  node: number,
  view: PlacementView,
): string | undefined {
  const { id, members, sealed, sealedByOperator, joining, end } = stream;
  if (sealedByOperator) return `log stream ${id} is sealed by an operator: unseal it`;
  if (sealed) return `log stream ${id} is sealed: it opens by itself when its replicas are well`;
  const others = stayingOf(stream).filter((it) => it !== node && !joining.includes(it));
  const [ill, ...more] = others.filter((it) => !takesPart(stream, it, view));
  // One that goes anyway goes before.
  const isNext = ill !== undefined && more.length === 0 && takesPart(stream, node, view);
  if (ill !== undefined && !(isNext && goesFrom(stream, ill, view))) {
    const how = view.isUp(ill) ? 'has not caught up' : 'is down';
    return `log stream ${id} waits for its replica on storage node ${ill}, which ${how}`;
  }
  if (!takesPart(stream, members[0]!, view)) {
    return `no replica of log stream ${id} that is up can be copied`;
  }
  const [newcomer] = joining;
  if (newcomer !== undefined) {
    const has = view.report(id, newcomer)?.end ?? 0;
    const how = view.isUp(newcomer) ? `which has ${has} of ${end} records` : 'which is down';
    return `log stream ${id} is copied to storage node ${newcomer}, ${how}`;
  }
  const usable = usableNodes(view);
  const canGo = usable.some((it) => !stream.replicas.includes(it));
  if (canGo || stream.leaving.includes(node)) return undefined;
  const count = stayingOf(stream).length;
  const needed =
    count === 1
      ? 'its replica needs one that is'
      : `${count} replicas need ${count} nodes that are`;
  return `no other node may hold log stream ${id}: ${needed} up and not drained, and there are ${usable.length}`;
}

/** Who is to be the primary in place of the one there is; `undefined`: nobody, or nobody can now. */
function successorOf(
  stream: LogStreamState,
  view: PlacementView,
  inOrder: (stream: LogStreamState, nodes: readonly number[]) => number[],
): number | undefined {
  const [primary] = stream.members;
  if (!takesPart(stream, primary!, view)) return undefined;
  const fit = inOrder(
    stream,
    stream.replicas.filter((it) => takesPart(stream, it, view)),
  );
  const [to] = inOrderOfPrimaries(stream, fit, view.metadata);
  return to === primary || goesFrom(stream, to!, view) ? undefined : to;
}

function goesFrom({ leaving }: LogStreamState, node: number, { metadata }: PlacementView): boolean {
  return leaving.includes(node) || metadata.storageNodes.get(node)?.draining === true;
}

/** The decisions of one look, of which each takes those before it into account. */
class MovePlanner {
  private readonly view: PlacementView;
  private readonly loads: Loads;
  private readonly rebalanceBytes: number;
  private readonly planned = new Set<number>();
  private handingOver: Set<number> | undefined;
  private knownBalance: ByteBalance | undefined;

  constructor(view: PlacementView, rebalanceBytes: number) {
    this.view = view;
    this.rebalanceBytes = rebalanceBytes;
    this.loads = new Loads(view, usableNodes(view));
  }

  /** Whether anything is being copied for a log stream, or about to leave it. */
  isUnderWay(stream: LogStreamState): boolean {
    if (stream.joining.some((it) => this.view.isUp(it))) return true;
    return stream.leaving.length > 0 && this.areMembers(stream, stayingOf(stream));
  }

  /** Ends what was begun, or turns it back: removes what has left, what is too much, or what cannot come. */
  end(stream: LogStreamState): Move | undefined {
    const { id, sealed, members, joining, leaving, replicas, replicationFactor } = stream;
    const staying = stayingOf(stream);
    const lost = joining.find((it) => this.cannotCome(it));
    if (lost !== undefined) {
      const rest = replicas.filter((it) => it !== lost);
      return this.step(stream, rest, [], `storage node ${lost} cannot take it`);
    }
    if (leaving.length > 0 && staying.length < Math.min(replicationFactor, replicas.length)) {
      return this.step(stream, replicas, [], `it is to have ${replicationFactor} replicas`);
    }
    const surplus = leaving.length === 0 && replicas.length > replicationFactor;
    if (surplus && joining.length > 0) {
      const rest = replicas.filter((it) => it !== joining.at(-1));
      return this.step(stream, rest, [], `storage node ${joining.at(-1)} is not needed for it`);
    }
    if (sealed || leaving.length === 0 || leaving.some((it) => members.includes(it))) {
      return undefined;
    }
    if (!this.areMembers(stream, staying)) return undefined;
    return this.step(
      stream,
      staying,
      [],
      `log stream ${id} is whole without ${leaving.join(', ')}`,
    );
  }

  /** Has a log stream get a replica that it lacks, or one in place of one that is to go, or lose one too many. */
  begin(stream: LogStreamState): Move | undefined {
    const { replicas, replicationFactor, sealed, sealedByOperator, members } = stream;
    if (sealed || sealedByOperator || !takesPart(stream, members[0]!, this.view)) return undefined;
    if (replicas.length < replicationFactor) {
      const to = this.target(stream);
      if (to === undefined) return undefined;
      return this.copy(
        stream,
        to,
        [],
        `it has ${replicas.length} of ${replicationFactor} replicas`,
      );
    }
    const going = replicas.filter((it) => goesFrom(stream, it, this.view));
    // What is no copy now goes first: all that stay have to be some.
    going.sort((a, b) => this.partOf(stream, a) - this.partOf(stream, b));
    const isTooMuch = replicas.length > replicationFactor;
    const [from] = isTooMuch ? [...going, ...this.mostLoaded(stream)] : going;
    if (from === undefined) return undefined;
    if (
      !this.areMembers(
        stream,
        replicas.filter((it) => it !== from),
      )
    )
      return undefined;
    if (isTooMuch)
      return this.step(stream, replicas, [from], `it needs ${replicationFactor} replicas`);
    // Primaries leave first.
    if (going.some((it) => this.handsOver(it))) return undefined;
    const to = this.target(stream);
    if (to === undefined) return undefined;
    return this.copy(stream, to, [from], `storage node ${from} is drained`);
  }

  /** Moves a replica from a node that has many to one that has few. */
  evenCounts(): Move | undefined {
    const { loads } = this;
    const half = this.secondHalf();
    if (half !== undefined) return half;
    const nodes = loads.leastFirst('replicas');
    for (const from of [...nodes].reverse()) {
      for (const to of nodes) {
        if (loads.replicas.get(from)! - loads.replicas.get(to)! < UNEVEN_FROM) break;
        const fit = this.movable(from, to);
        // So that it goes on meanwhile: of one that leaves, the primary has to change.
        const backups = fit.filter((it) => it.members[0] !== from);
        const stream = this.balance.nearest(backups.length > 0 ? backups : fit, from, to);
        if (stream === undefined) continue;
        const why = `storage node ${to} has less than storage node ${from}`;
        return this.copy(stream, to, [from], why);
      }
    }
    return undefined;
  }

  /**
   * Moves bytes from a node that has many to one that has few, and leaves it with nearly as many replicas: one is moved
   * where there is one more than there, and else two change places.
   */
  evenBytes(): Move[] {
    const { balance, loads } = this;
    const nodes = balance.leastFirst();
    for (const from of [...nodes].reverse()) {
      for (const to of nodes) {
        if (!balance.isUneven(from, to)) break;
        const mayMove = loads.replicas.get(from)! > loads.replicas.get(to)!;
        const [gives, takes] = [this.movable(from, to), this.movable(to, from)];
        const found = balance.exchange({ from, to, gives, takes, mayMove });
        if (found === undefined) continue;
        const { given, taken } = found;
        const why = `storage node ${to} has fewer bytes than storage node ${from}`;
        const move = this.copy(given, to, [from], why);
        return taken === undefined ? [move] : [move, this.copy(taken, from, [to], why)];
      }
    }
    return [];
  }

  /** What goes the other way in an exchange of which some leader has begun no more than one half. */
  private secondHalf(): Move | undefined {
    const { replicas } = this.loads;
    for (const { id, joining, leaving } of this.view.metadata.logStreams.values()) {
      const [to, from] = [joining[0], leaving[0]];
      if (to === undefined || from === undefined) continue;
      // One that was moved for the sake of their counts has not turned these round.
      if (!(replicas.get(to)! - replicas.get(from)! >= UNEVEN_FROM)) continue;
      const stream = this.balance.answer(this.movable(to, from), to, from);
      if (stream === undefined) continue;
      return this.copy(
        stream,
        from,
        [to],
        `storage node ${to} is to have log stream ${id} instead`,
      );
    }
    return undefined;
  }

  /** Lets another replica be the primary, of a node that has few of them. */
  spread(): Move | undefined {
    const { primaries } = this.loads;
    let best: { stream: LogStreamState; to: number; gain: number } | undefined;
    for (const stream of this.view.metadata.logStreams.values()) {
      const from = inOrderOfPrimaries(stream, stream.replicas, this.view.metadata)[0]!;
      if (!this.isIdle(stream) || stream.preferred !== 0 || !primaries.has(from)) continue;
      for (const to of stream.replicas) {
        const gain = primaries.get(from)! - (primaries.get(to) ?? Number.POSITIVE_INFINITY);
        if (gain >= UNEVEN_FROM && gain > (best?.gain ?? 0)) best = { stream, to, gain };
      }
    }
    if (best === undefined) return undefined;
    const { stream, to } = best;
    const replicas = [to, ...stream.replicas.filter((it) => it !== to)];
    return this.step(stream, replicas, [], `storage node ${to} is primary less often`);
  }

  private copy(stream: LogStreamState, to: number, leaving: number[], why: string): Move {
    this.loads.add(this.loads.replicas, to, 1);
    for (const it of leaving) this.loads.add(this.loads.replicas, it, -1);
    this.knownBalance?.moved(stream, to, leaving);
    return this.step(stream, [...stream.replicas, to], leaving, why);
  }

  private step(
    { id, revision }: LogStreamState,
    replicas: readonly number[],
    leaving: readonly number[],
    why: string,
  ): Move {
    this.planned.add(id);
    return { id, revision, replicas, leaving, why };
  }

  /** Made once it is asked for: mostly it is not. */
  private get balance(): ByteBalance {
    this.knownBalance ??= new ByteBalance(
      this.view,
      this.loads.replicas.keys(),
      this.rebalanceBytes,
    );
    return this.knownBalance;
  }

  private movable(from: number, to: number): LogStreamState[] {
    return [...this.view.metadata.logStreams.values()].filter(
      (it) => it.replicas.includes(from) && !it.replicas.includes(to) && this.mayLeave(it, from),
    );
  }

  /** The node with the least to do that does not hold it. */
  private target({ replicas }: LogStreamState): number | undefined {
    return this.loads.leastFirst('replicas').find((it) => !replicas.includes(it));
  }

  /** Its replicas, those first that it can best do without. */
  private mostLoaded({ replicas, members, preferred }: LogStreamState): number[] {
    const rank = (it: number): number =>
      (it === preferred ? 2 : 0) + (it === members[0] ? 1 : 0) - (members.includes(it) ? 0 : 4);
    const load = (it: number): number => this.loads.replicas.get(it) ?? Number.POSITIVE_INFINITY;
    return [...replicas].sort((a, b) => rank(a) - rank(b) || load(b) - load(a) || b - a);
  }

  private partOf(stream: LogStreamState, node: number): number {
    return Number(takesPart(stream, node, this.view));
  }

  private areMembers(stream: LogStreamState, nodes: readonly number[]): boolean {
    return nodes.every((it) => takesPart(stream, it, this.view));
  }

  /** Nothing is done about it, nor to be done. */
  private isIdle(stream: LogStreamState): boolean {
    if (isMoving(stream) || stream.sealedByOperator || this.planned.has(stream.id)) return false;
    const { replicas, replicationFactor } = stream;
    return replicas.length === replicationFactor && this.areMembers(stream, replicas);
  }

  private mayLeave(stream: LogStreamState, node: number): boolean {
    return stream.preferred !== node && this.isIdle(stream);
  }

  private cannotCome(node: number): boolean {
    const known = this.view.metadata.storageNodes.get(node);
    return known === undefined || known.draining || this.view.isGone(node);
  }

  /** Whether a node that is to hold nothing is the primary of a log stream that another one could be the primary of. */
  private handsOver(node: number): boolean {
    this.handingOver ??= new Set(
      [...this.view.metadata.logStreams.values()]
        .filter((it) => goesFrom(it, it.members[0]!, this.view))
        .filter((it) => successorOf(it, this.view, (_, all) => [...all]) !== undefined)
        .map((it) => it.members[0]!),
    );
    return this.handingOver.has(node);
  }
}
