import { VarlogError } from '../../base/index.ts';

/** Throws `INVALID_ARGUMENT` unless it is a whole number, 1 or more, or was left out. */
export function checkCount(value: unknown, name: string): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 1)) return;
  throw invalid(value, name, 'a whole number, 1 or more');
}

/** The largest id of the cluster's objects, and count of replicas: a larger one would be another one on the wire. */
const INT32_MAX = 2 ** 31 - 1;

/**
 * Throws `INVALID_ARGUMENT` unless it is a whole number from 1 to `most`. On the wire there are whole numbers only: what is
 * none would come out as another one there, or as 0, which stands for all.
 */
export function checkWhole(value: unknown, name: string, most = INT32_MAX): void {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= most) return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `${name} is ${String(value)}: it must be a whole number from 1 to ${most}`,
    next: 'see "varlog status" and "varlog topic describe" for what there is',
    outcome: 'notAppended',
  });
}

/** Throws `INVALID_ARGUMENT` unless it is one of these words, or was left out. */
export function checkChoice(value: unknown, name: string, words: readonly string[]): void {
  if (value === undefined || words.includes(value as string)) return;
  throw invalid(value, name, words.map((it) => `'${it}'`).join(' or '));
}

function invalid(value: unknown, name: string, wanted: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `${name} is ${String(value)}: it must be ${wanted}`,
    next: 'leave it out for the default',
  });
}
