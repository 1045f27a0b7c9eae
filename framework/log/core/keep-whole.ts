import type { WaitingPart } from './waiting-parts.ts';

/** How far a log stream could be cut, and the parts of atomic appends up to there that are not ordered, by the id of the append. */
export interface Reach {
  end: number;
  readonly parts: ReadonlyMap<number, WaitingPart>;
}

/**
 * Lowers the ends, each by as little as it takes, until no atomic append has a part below the end of its log stream and
 * another one that is not. Appends whose parts lie in another order in each of two log streams need no order among
 * themselves for that: they are within the ends together, or none of them is.
 */
export function keepWhole(reaches: ReadonlyMap<number, Reach>): void {
  const isWithin = (logStreamId: number, id: number): boolean => {
    const reach = reaches.get(logStreamId);
    const part = reach?.parts.get(id);
    return part !== undefined && part.end <= reach!.end;
  };
  for (let isLowered = true; isLowered; ) {
    isLowered = false;
    for (const reach of reaches.values()) {
      for (const { id, llsn, end, logStreams } of reach.parts.values()) {
        if (end > reach.end || logStreams.every((it) => isWithin(it, id))) continue;
        reach.end = llsn - 1;
        isLowered = true;
      }
    }
  }
}
