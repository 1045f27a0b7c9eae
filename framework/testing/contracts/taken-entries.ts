import type { Entry } from '../../log/index.ts';

/** What a reader sees of a record beside its place. */
export function shown(it: Entry): unknown {
  return [it.text(), it.key, it.headers.toJSON()];
}

export async function all<T>(entries: AsyncIterable<T>): Promise<T[]> {
  return take(entries, Infinity);
}

/** The first ones. */
export async function take<T>(entries: AsyncIterable<T>, count: number): Promise<T[]> {
  const found: T[] = [];
  if (count === 0) return found;
  for await (const it of entries) {
    found.push(it);
    if (found.length === count) break;
  }
  return found;
}
