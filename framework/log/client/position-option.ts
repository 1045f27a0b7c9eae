import { advance, type Glsn, glsn, type TopicId, VarlogError } from '../../base/index.ts';
import { type Extent, trimmed } from './merged-reader.ts';
import { isResumeToken, positionOf, type ResumeToken } from './resume-token.ts';

/**
 * Where reading begins: at the first record that was not trimmed, after the last one that is there, at
 * a GLSN, which is included, or after the record of a resume token. To go on after a record that was dealt with, keep
 * its `resumeToken`; where only its position is known, use {@link after}.
 */
export type From = 'start' | 'end' | number | ResumeToken;

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
  if (from !== 'start' && from !== 'end' && !isResumeToken(from)) {
    checkGlsn(from, 'from', `'start', 'end', a GLSN or a resume token`);
  }
  if (to === undefined) return;
  checkGlsn(to, 'to', 'a GLSN');
  if (typeof from !== 'number' || from <= (to as number)) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the range from ${from} to ${to} runs backwards`,
    next: 'both ends are included: give from <= to',
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
  { from, to }: { from: Begin; to: number | 'tail' },
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
