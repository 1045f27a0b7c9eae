import { advance, type Glsn, glsn, type TopicId, VarlogError } from '../../base/index.ts';
import { type Extent, trimmed } from './merged-reader.ts';
import { isResumeToken, positionOf, type ResumeToken } from './resume-token.ts';

/** A time: milliseconds since 1970, or a `Date`. */
export interface AtTime {
  readonly time: number | { getTime(): number };
}

/**
 * Where reading begins: at the first record that was not trimmed, after the last one that is there, at
 * a GLSN, which is included, or after the record of a resume token. At a time: in each log stream at its first record with
 * that timestamp or a later one, as the primaries' clocks have it. Where older records were trimmed, that is the first one
 * left; a time after the last record means the end: what comes then is given in any case. To go on after a record that was dealt with, keep
 * its `resumeToken`; where only its position is known, use {@link after}.
 */
export type From = 'start' | 'end' | number | ResumeToken | AtTime;

/** A place without any doubt about whose it is. */
export type Begin = Exclude<From, ResumeToken>;

/** The position after a record that was dealt with: `tail({ from: after(entry.glsn) })`. 0 means the first record. */
export function after(position: number): Glsn {
  return advance(glsn(position));
}

/** Where a reader of `topic` in `cluster` begins. Throws for a resume token that is of elsewhere. */
export function beginOf(from: From, cluster: string, topic: TopicId): Begin {
  return isResumeToken(from) ? after(positionOf(from, cluster, topic)) : from;
}

/** Throws `INVALID_ARGUMENT` or `POSITION_OUT_OF_RANGE` for what no topic could satisfy. */
export function checkRange(from: unknown, to?: unknown): void {
  if (isAtTime(from)) {
    millisecondsOf(from);
  } else if (from !== 'start' && from !== 'end' && !isResumeToken(from)) {
    checkGlsn(from, 'from', `'start', 'end', a GLSN, a resume token or { time }`);
  }
  if (to === undefined) return;
  if (to === Infinity) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: 'to is Infinity, and a read ends',
      next: 'leave it out to read up to the tail, or follow the topic with tail()',
    });
  }
  checkGlsn(to, 'to', 'a GLSN');
  if (typeof from !== 'number' || from <= (to as number)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the range from ${from} to ${to} runs backwards`,
    next: 'both ends are included: give from <= to',
  });
}

/** Whether reading begins at a time. */
export function isAtTime(from: unknown): from is AtTime {
  return typeof from === 'object' && from !== null && 'time' in from;
}

/**
 * In whole milliseconds since 1970: every record from then on has a timestamp of at least that. Throws `INVALID_ARGUMENT`
 * for what is no time.
 */
export function millisecondsOf({ time }: AtTime): number {
  const given: unknown = typeof time === 'object' ? time?.getTime?.() : time;
  const isTime = typeof given === 'number' && Math.abs(given) < Number.MAX_SAFE_INTEGER;
  if (isTime) return Math.max(0, Math.ceil(given));
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `from.time is ${String(time)}; it must be a Date, or milliseconds since 1970`,
    next: "give a time, or 'start', 'end' or a GLSN as from",
  });
}

/** Throws unless it is a position that a record can have. */
export function checkGlsn(value: unknown, name: string, wanted = 'a GLSN'): void {
  if (typeof value !== 'number') {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `${name} is ${String(value)}; it must be ${wanted}`,
      next: 'pass a position that an append or a read returned',
    });
  }
  if (glsn(value) > 0) return;
  throw new VarlogError('POSITION_OUT_OF_RANGE', {
    what: `${name} is 0, but records count from 1`,
    next: `give ${wanted}`,
  });
}

/** The first and the last GLSN to read. Throws `TRIMMED` or `BEYOND_TAIL`. */
export function resolveRange(
  { from, to }: { from: Exclude<Begin, AtTime>; to: number | 'tail' },
  { first, last }: Extent,
): { from: number; to: number } {
  const begin = from === 'start' ? first : from === 'end' ? last + 1 : from;
  if (begin < first) throw trimmed(begin, first);
  const end = to === 'tail' ? last : to;
  const beyond = begin > last + 1 ? begin : end !== Infinity && end > last ? end : undefined;
  if (beyond === undefined) return { from: begin, to: end };
  throw new VarlogError('BEYOND_TAIL', {
    what: `position ${beyond} is beyond the tail: the topic ends at ${last}`,
    because: 'the position may be of another topic or cluster',
    next: `read up to ${last}, or use tail() to wait for what comes`,
    details: { requested: beyond, last },
  });
}
