import { VarlogError } from '../../base/index.ts';

/** Throws `INVALID_ARGUMENT` unless it is a whole number, 1 or more, or was left out. */
export function checkCount(value: unknown, name: string): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 1)) return;
  throw invalid(value, name, 'a whole number, 1 or more');
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
