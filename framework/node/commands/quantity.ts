import { InvalidArgumentError } from 'commander';

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  ...{ KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30, TIB: 2 ** 40 },
};
export const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** What is given for a limit that is to be none. */
const NO_LIMIT = 'none';

/** Parses a number of bytes for commander: `10GB`, `512MiB`, `4096`. */
export function bytesOf(text: string): number {
  const [value, unit = ''] = split(text);
  const factor = unit === '' ? 1 : BYTES[unit.toUpperCase()];
  return whole(value, factor, 'It must be a number of bytes, such as 10GB, 512MiB or 4096.');
}

/** Parses a duration for commander, into milliseconds: `7d`, `12h`, `90s`. */
export function durationOf(text: string): number {
  const [value, unit = ''] = split(text);
  return whole(value, MILLISECONDS[unit], 'It must be a duration, such as 7d, 12h, 30m or 90s.');
}

/** As {@link bytesOf} or {@link durationOf}; for `none`, that. */
export function orNone(parse: (text: string) => number): (text: string) => number | 'none' {
  return (text) => (text === NO_LIMIT ? NO_LIMIT : parse(text));
}

function split(text: string): [number, string?] {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  return match === null ? [Number.NaN] : [Number(match[1]), match[2]!];
}

function whole(value: number, factor: number | undefined, help: string): number {
  const found = Math.round(value * (factor ?? Number.NaN));
  if (Number.isSafeInteger(found) && found >= 1) return found;
  throw new InvalidArgumentError(help);
}

/** A number of bytes for people. */
export function showBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3).replace(/\.?0+$/, '')} ${units[unit]}`;
}

/** A duration for people. */
export function showDuration(ms: number): string {
  const units = Object.entries(MILLISECONDS).reverse();
  const [name, factor] = units.find(([, it]) => ms % it === 0) ?? ['ms', 1];
  return `${ms / factor} ${name}`;
}
