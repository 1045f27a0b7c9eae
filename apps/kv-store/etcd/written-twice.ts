import type { Key, KeyRange } from '../key.ts';

/** What an operation writes. */
export interface Written {
  readonly puts: readonly Key[];
  readonly deletes: readonly KeyRange[];
}

/** At one key ranges end first, since their end is not part of them, and puts come last. */
const END = 0;
const BEGIN = 1;
const PUT = 2;

interface Mark {
  readonly at: Key;
  readonly kind: typeof END | typeof BEGIN | typeof PUT;
  /** Which operation it is of. */
  readonly of: number;
}

/**
 * Whether two operations put the same key, or one puts what another deletes. What one does beside itself does not count.
 * Goes through all of it once, in the order of the keys.
 */
export function isWrittenTwice(operations: readonly Written[]): boolean {
  /** How many ranges of an operation the key is in, where it is in any. */
  const inside = new Map<number, number>();
  let last: Mark | undefined;
  for (const mark of marksOf(operations)) {
    const { kind, of } = mark;
    if (kind === PUT) {
      const isPutBefore = last?.at === mark.at && last.of !== of;
      const isDeleted = inside.size > (inside.has(of) ? 1 : 0);
      if (isPutBefore || isDeleted) return true;
      last = mark;
      continue;
    }
    const ranges = (inside.get(of) ?? 0) + (kind === BEGIN ? 1 : -1);
    if (ranges === 0) inside.delete(of);
    else inside.set(of, ranges);
  }
  return false;
}

function marksOf(operations: readonly Written[]): Mark[] {
  const marks: Mark[] = [];
  for (const [of, { puts, deletes }] of operations.entries()) {
    for (const at of puts) marks.push({ at, kind: PUT, of });
    for (const { from, to } of deletes) {
      if (to !== undefined && to <= from) continue;
      marks.push({ at: from, kind: BEGIN, of });
      if (to !== undefined) marks.push({ at: to, kind: END, of });
    }
  }
  return marks.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.kind - b.kind));
}
