import { VarlogError } from '../../base/index.ts';
import type { PlacementView } from './loads.ts';
import { type LogStreamState, stayingOf } from './log-stream-state.ts';

/** Storage nodes whose bytes differ by less than 64 MiB are even, unless somebody says otherwise. */
export const REBALANCE_BYTES = 64 * 1024 * 1024;
/** Nodes that differ by less than half of what the other one has are even too: appends shift that all the time. */
const UNEVEN_RATIO = 1.5;
/** What is copied is no more than so many times what becomes even by it … */
const COPIED_MAX = 8;
/** … and that is at least this share of the difference from which on nodes are uneven. */
const GAIN_SHARE = 1 / 16;

/** Log streams of which a replica moves from one node to another one, and from there to here. */
export interface Exchange {
  readonly given: LogStreamState;
  /** Without: the other node gives nothing for it. */
  readonly taken?: LogStreamState;
}

/** Throws `CONFIG_INVALID` where that cannot be the difference from which on nodes are uneven, in bytes. */
export function checkRebalanceBytes(bytes: number): number {
  if (Number.isSafeInteger(bytes) && bytes >= 1) return bytes;
  throw new VarlogError('CONFIG_INVALID', {
    what: `${bytes} cannot be rebalanceBytes, the difference from which on storage nodes are uneven`,
    next: 'give a whole number of bytes, 1 or more, or leave it out for 64 MiB; with rebalance false nothing is moved',
  });
}

/**
 * How many bytes storage nodes hold, and what they would have to exchange to hold about as many. All replicas of a log
 * stream count as much, whatever each has of it by now: so what one node has less after a move, the other one has more.
 *
 * Every exchange takes from the fuller node at most half of what that has more, so that it is still the fuller one:
 * nothing moves back, and as each gains something, they come to an end.
 */
export class ByteBalance {
  private readonly leastBytes: number;
  private readonly sizes = new Map<number, number>();
  /** Of nodes of which everything is known. */
  private readonly nodes: Map<number, number>;

  constructor(view: PlacementView, nodes: Iterable<number>, leastBytes: number) {
    this.leastBytes = leastBytes;
    this.nodes = new Map([...nodes].map((it) => [it, 0]));
    for (const stream of view.metadata.logStreams.values()) {
      const size = sizeOf(stream, view);
      if (size !== undefined) this.sizes.set(stream.id, size);
      for (const node of stayingOf(stream)) {
        // What was not heard is unknown, not zero.
        if (size === undefined) this.nodes.delete(node);
        else this.add(node, size);
      }
    }
  }

  /** The nodes of which everything is known, those with the fewest bytes first. */
  leastFirst(): number[] {
    return [...this.nodes].sort(([a, x], [b, y]) => x - y || a - b).map(([node]) => node);
  }

  moved({ id }: LogStreamState, to: number, from: readonly number[]): void {
    this.add(to, this.sizeOf(id));
    for (const it of from) this.add(it, -this.sizeOf(id));
  }

  /** Whether one node has so much more than another one that it is to change. */
  isUneven(from: number, to: number): boolean {
    const [more, less] = [this.nodes.get(from)!, this.nodes.get(to)!];
    return more - less >= this.leastBytes && more >= UNEVEN_RATIO * less;
  }

  /** Of log streams of which one is to be moved in any case: the one that leaves the two nodes most even. */
  nearest(
    streams: readonly LogStreamState[],
    from: number,
    to: number,
  ): LogStreamState | undefined {
    const more = this.difference(from, to);
    const after = ({ id }: LogStreamState): number => Math.abs(more - 2 * this.sizeOf(id));
    return first(streams, (a, b) => after(a) - after(b));
  }

  /**
   * Of log streams of which one is to go from `from` to `to` in return for one that came: the smallest with which `to` has
   * no less than `from`, which it had not before the exchange either; or else the largest.
   */
  answer(streams: readonly LogStreamState[], from: number, to: number): LogStreamState | undefined {
    return answerOf(this.ascending(streams), this.difference(from, to))?.stream;
  }

  /** The exchange by which two nodes become most even, one-sided if need be; `undefined`: none is worth it. */
  exchange({
    from,
    to,
    gives,
    takes,
    mayMove,
  }: {
    from: number;
    to: number;
    gives: readonly LogStreamState[];
    takes: readonly LogStreamState[];
    /** Whether a log stream may be given for nothing. */
    mayMove: boolean;
  }): Exchange | undefined {
    const more = this.difference(from, to);
    const all = this.ascending(gives);
    // It copies less.
    const alone = mayMove
      ? this.best(
          more,
          all.map((given) => ({ given })),
        )
      : undefined;
    if (alone !== undefined) return alone;
    const ascending = this.ascending(takes);
    const pairs = all.map((given) => ({
      given,
      taken: answerOf(ascending, 2 * given.bytes - more),
    }));
    return this.best(
      more,
      pairs.filter(({ taken }) => taken !== undefined),
    );
  }

  private best(more: number, swaps: readonly Swap[]): Exchange | undefined {
    const worth = swaps.filter((it) => this.isWorth(more, gainOf(it), copiedOf(it)));
    const order = (a: Swap, b: Swap): number => gainOf(b) - gainOf(a) || copiedOf(a) - copiedOf(b);
    const { given, taken } = first(worth, order) ?? {};
    return given && { given: given.stream, ...(taken && { taken: taken.stream }) };
  }

  /** Whether so much is to be copied to move `gain` bytes from one node to another one that has `more` bytes less. */
  isWorth(more: number, gain: number, copied: number): boolean {
    const least = Math.max(copied / COPIED_MAX, this.leastBytes * GAIN_SHARE);
    return gain >= least && 2 * gain <= more;
  }

  private ascending(streams: readonly LogStreamState[]): Sized[] {
    return streams
      .map((stream) => ({ stream, bytes: this.sizeOf(stream.id) }))
      .sort((a, b) => a.bytes - b.bytes || a.stream.id - b.stream.id);
  }

  private difference(from: number, to: number): number {
    return (this.nodes.get(from) ?? 0) - (this.nodes.get(to) ?? 0);
  }

  private sizeOf(logStreamId: number): number {
    return this.sizes.get(logStreamId) ?? 0;
  }

  private add(node: number, bytes: number): void {
    const known = this.nodes.get(node);
    if (known !== undefined) this.nodes.set(node, known + bytes);
  }
}

interface Sized {
  readonly stream: LogStreamState;
  readonly bytes: number;
}

interface Swap {
  readonly given: Sized;
  readonly taken?: Sized | undefined;
}

function gainOf({ given, taken }: Swap): number {
  return given.bytes - (taken?.bytes ?? 0);
}

function copiedOf({ given, taken }: Swap): number {
  return given.bytes + (taken?.bytes ?? 0);
}

/** See {@link ByteBalance.answer}; `more`: what the node that it leaves has more. */
function answerOf(ascending: readonly Sized[], more: number): Sized | undefined {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (2 * ascending[middle]!.bytes >= more) high = middle;
    else low = middle + 1;
  }
  return ascending[low] ?? ascending.at(-1);
}

/** What a whole replica has: a member that was opened just now, or has told nothing since, may have less or be unknown. */
function sizeOf({ id, members }: LogStreamState, view: PlacementView): number | undefined {
  const told = members.map((it) => view.bytesOf(id, it)).filter((it) => it !== undefined);
  return told.length === 0 ? undefined : Math.max(...told);
}

/** The first in an order, of those that are alike the one that comes first. */
function first<T>(items: readonly T[], order: (a: T, b: T) => number): T | undefined {
  return items.reduce<T | undefined>(
    (best, it) => (best === undefined || order(it, best) < 0 ? it : best),
    undefined,
  );
}
