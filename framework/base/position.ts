import { VarlogError } from './errors.ts';

declare const brand: unique symbol;

/** Position in a topic: the global log sequence number. 1, 2, 3, … dense, never reused; 0 means "none". */
export type Glsn = number & { readonly [brand]: 'Glsn' };
/** Position in one log stream: the local log sequence number. Dense from 1; 0 means "none". */
export type Llsn = number & { readonly [brand]: 'Llsn' };
type Position = Glsn | Llsn;

// The cores count with these all the time: a plain number may stand for each of them, and one of another kind may not.

/** Index of an entry in a Raft log. Dense from 1; 0 means "before the first entry". */
export type LogIndex = number & { readonly [brand]?: 'LogIndex' };
/** Raft term. Grows with every election; 0 before the first. */
export type Term = number & { readonly [brand]?: 'Term' };
/** Generation of a log stream's replica set. Grows with every unseal; 0 means "never opened". */
export type Epoch = number & { readonly [brand]?: 'Epoch' };
/** Number of commits that a log stream has received. Dense from 1; 0 means "nothing committed". */
export type Version = number & { readonly [brand]?: 'Version' };

/**
 * Numbers at or above this cannot be told apart by a JavaScript number. At a million records a
 * second it is reached after 285 years.
 */
export const POSITION_LIMIT = 2 ** 53;

/** Checked constructors: the gates through which a plain number becomes a position. */
export const glsn = (value: number): Glsn => checked(value, 'GLSN') as Glsn;
export const llsn = (value: number): Llsn => checked(value, 'LLSN') as Llsn;
export const logIndex = (value: number): LogIndex => checked(value, 'log index');
export const term = (value: number): Term => checked(value, 'term');

/** The position `by` steps after `position` (before it, when negative). */
export function advance<P extends Position>(position: P, by = 1): P {
  return checked(position + by, 'position') as P;
}

function checked(value: number, kind: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new VarlogError('POSITION_OUT_OF_RANGE', {
    what: `${value} is not a ${kind}: it must be a whole number from 0 to 2^53 - 1`,
    next: 'pass a position that an append or a read returned',
  });
}
