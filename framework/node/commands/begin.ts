import { InvalidArgumentError } from 'commander';
import { VarlogError } from '../../base/index.ts';

export const SINCE_HELP =
  'begin with what was appended at a time (2026-01-01T00:00:00Z) or so long ago (10m)';

/** Parses a position for commander. */
export function positionArgument(text: string): 'start' | 'end' | number {
  if (text === 'start' || text === 'end') return text;
  const glsn = Number(text);
  if (Number.isSafeInteger(glsn) && glsn >= 1) return glsn;
  throw new InvalidArgumentError('It must be start, end or a GLSN, which is 1 or more.');
}

/** Where reading begins, when it was said. */
export function beginOf<Position>({ from, since }: { from?: Position; since?: number }) {
  if (from !== undefined && since !== undefined) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: '--from and --since exclude each other',
      next: 'use one of them',
    });
  }
  return since === undefined ? from : { time: since };
}
