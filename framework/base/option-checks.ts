import { VarlogError } from './errors.ts';

/*
 * Checks of what callers give, for all public calls alike: each throws `INVALID_ARGUMENT`, which names the option, what
 * was given and what is allowed, before anything is done.
 */

/** The names of all options of a kind: the compiler sees that none is missing. With `false` it is taken, and not offered. */
export type OptionNames<Options> = Readonly<Record<keyof Options, boolean>>;

/**
 * Throws `INVALID_ARGUMENT` for what are no options, and for one that `of` does not have. A misspelt one would otherwise
 * be one that was left out: without a snapshot, a check or a limit, and nobody sees that.
 */
export function checkNames<Options>(
  options: Options,
  names: OptionNames<Options>,
  of: string,
): void {
  if (typeof options !== 'object' || options === null)
    throw refused(
      `the options of ${of} are ${shown(options)}`,
      `give an object: ${offered(names)}`,
    );
  for (const name in options) {
    if (Object.hasOwn(names, name)) continue;
    throw refused(`there is no option "${name}" of ${of}`, `choose among ${offered(names)}`);
  }
}

function offered(names: Readonly<Record<string, boolean>>): string {
  return Object.keys(names)
    .filter((name) => names[name])
    .join(', ');
}

/** A value that was given in place of another, as it is told to who gave it. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'string') return `the text "${value}"`;
  if (typeof value === 'function') return `the function ${value.name}`.trim();
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value) ? 'a list' : `an object (${value.constructor?.name || 'Object'})`;
}

/** Throws `INVALID_ARGUMENT` where it is no number, or a smaller one. Infinity is one: no limit. Left out is fine. */
export function checkNumber(value: unknown, what: string, least: number): void {
  if (value === undefined || isNumber(value, least)) return;
  throw unusable(value, what, `give a number from ${least} on, or leave it out`);
}

/** As {@link checkNumber}, for what has to be given. */
export function checkGivenNumber(value: unknown, what: string, least: number): void {
  if (isNumber(value, least)) return;
  throw unusable(value, what, `give a number from ${least} on`);
}

/** Throws `INVALID_ARGUMENT` where it is no whole number from `least` to `most`. Left out is fine. */
export function checkCount(
  value: unknown,
  what: string,
  least = 1,
  most = Number.MAX_SAFE_INTEGER,
): void {
  if (value === undefined || isWhole(value, least, most)) return;
  throw unusable(value, what, `give ${wholeNumber(least, most)}, or leave it out`);
}

/** As {@link checkCount}, for what has to be given. */
export function checkGivenCount(
  value: unknown,
  what: string,
  least = 1,
  most = Number.MAX_SAFE_INTEGER,
): void {
  if (isWhole(value, least, most)) return;
  throw unusable(value, what, `give ${wholeNumber(least, most)}`);
}

/** Throws `INVALID_ARGUMENT` where it is no whole number from 0 on, or was left out. */
export function checkPosition(value: unknown, what: string): void {
  if (isWhole(value, 0, Number.MAX_SAFE_INTEGER)) return;
  throw refused(`${what} is ${shown(value)}`, 'give a position, a whole number from 0 on');
}

/** Whether it is a whole number from `least` to `most`. */
export function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}

/** Throws `INVALID_ARGUMENT` for what is no function. */
export function checkFunctions(functions: Readonly<Record<string, unknown>>): void {
  for (const [name, it] of Object.entries(functions)) {
    if (typeof it !== 'function')
      throw refused(`${name} is ${shown(it)}`, `give ${name}, a function`);
  }
}

/** Throws `INVALID_ARGUMENT` where it is none of these words. Left out is fine. */
export function checkWord(value: unknown, name: string, words: readonly string[]): void {
  if (value === undefined || words.includes(value as string)) return;
  throw refused(`${name} is ${shown(value)}`, `choose among ${words.join(', ')}`);
}

/** Throws `INVALID_ARGUMENT` for what is neither yes nor no: the text "false" is not no. Left out is fine. */
export function checkFlag(value: unknown, name: string): void {
  if (value === undefined || typeof value === 'boolean') return;
  throw refused(`${name} is ${shown(value)}`, 'give true or false, or leave it out');
}

/** Throws `INVALID_ARGUMENT` for what is no text, or an empty one. */
export function checkText(value: unknown, name: string): void {
  if (typeof value === 'string' && value !== '') return;
  throw refused(`${name} is ${value === '' ? 'empty' : shown(value)}`, `give ${name}, a text`);
}

/** Throws `INVALID_ARGUMENT` where it is no list of so many; `wanted` says of what. Left out is fine. */
export function checkList(value: unknown, what: string, length: number, wanted: string): void {
  if (value === undefined || (Array.isArray(value) && value.length === length)) return;
  const given = Array.isArray(value) ? `a list of ${value.length}` : shown(value);
  throw refused(`${what} is ${given}`, `give a list of ${length}, ${wanted}, or leave it out`);
}

/** The names of the limits of a call, for those that take them with options of their own. */
export const LIMIT_NAMES = { signal: true, timeoutMs: true };

/** Throws `INVALID_ARGUMENT` for limits of a call that are none: milliseconds from 0 on, and what can be aborted. */
export function checkLimits(limits: { timeoutMs?: unknown; signal?: unknown } = {}): void {
  const { timeoutMs, signal } = limits;
  checkNumber(timeoutMs, 'timeoutMs', 0);
  checkSignal(signal);
}

/** Throws `INVALID_ARGUMENT` for what cannot be aborted. Left out is fine. */
export function checkSignal(signal: unknown): void {
  // By what it does: another realm has another class of that name.
  const { aborted, addEventListener } = Object(signal) as Partial<AbortSignal>;
  const isSignal = typeof aborted === 'boolean' && typeof addEventListener === 'function';
  if (signal === undefined || isSignal) return;
  throw refused(
    `signal is ${shown(signal)}`,
    'give the signal of an AbortController, or leave it out',
  );
}

function isNumber(value: unknown, least: number): boolean {
  return typeof value === 'number' && value >= least;
}

function wholeNumber(least: number, most: number): string {
  return `a whole number from ${most === Number.MAX_SAFE_INTEGER ? `${least} on` : `${least} to ${most}`}`;
}

function unusable(value: unknown, what: string, next: string): VarlogError {
  return refused(`${what} is ${shown(value)}: it cannot be used`, next);
}

function refused(what: string, next: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, next, outcome: 'notAppended' });
}
