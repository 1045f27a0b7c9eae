import type { Entry, RecordLog, TopicOptions } from '../../log/index.ts';
import type { Closable } from './contract.ts';

/** An empty log of records, what trims it, and what ends it. */
export interface RecordLogUnderTest extends Closable {
  readonly log: RecordLog;
  /** Two of its log streams. */
  readonly logStreams: readonly [number, number];
  /** The same log through a codec. */
  as<T, In>(options: TopicOptions<T, In>): RecordLog<T, In>;
  /** Removes all records up to and including `position`. */
  trim(position: number): Promise<void>;
}

/** What a record says, in a form that can be compared. */
export function shown(it: Entry): unknown {
  return [it.text(), it.key, it.headers.toJSON()];
}

/** All that come. */
export async function all<T>(entries: AsyncIterable<T>): Promise<T[]> {
  return take(entries, Infinity);
}

/** The first `count` that come. */
export async function take<T>(entries: AsyncIterable<T>, count: number): Promise<T[]> {
  const found: T[] = [];
  if (count === 0) return found;
  for await (const it of entries) {
    found.push(it);
    if (found.length === count) break;
  }
  return found;
}
