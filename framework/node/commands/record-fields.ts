import { InvalidArgumentError } from 'commander';
import type { Entry } from '../../log/index.ts';
import { MILLISECONDS } from './quantity.ts';

/** Parses a time for commander, into milliseconds since 1970: one of the calendar, or how long ago. */
export function timeArgument(text: string): number {
  const [, amount, unit = ''] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (amount !== undefined) return Date.now() - Number(amount) * MILLISECONDS[unit]!;
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(time)) return time;
  throw new InvalidArgumentError(
    'It must be a time such as 2026-01-01T00:00:00Z, or how long ago: 30s, 10m, 2h, 7d.',
  );
}

/** Parses a header for commander, and adds it to those before it. */
export function headerArgument(
  text: string,
  before: readonly (readonly [string, string])[] = [],
): (readonly [string, string])[] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be a name and a value: name=value.');
  return [...before, [text.slice(0, at), text.slice(at + 1)]];
}

/** What a record has beside its payload, for programs. */
export function fieldsOf(entry: Entry): Record<string, unknown> {
  const { key, headers, timestamp } = entry;
  return { timestamp, ...(key === undefined ? {} : { key }), headers };
}

/** The same for people, as columns: time, key, headers. A `-` where there is none. */
export function fieldTexts({ key, headers, timestamp }: Entry): string[] {
  const time = timestamp === 0 ? '-' : new Date(timestamp).toISOString();
  const pairs = headers.toJSON().map(([name, value]) => `${name}=${value}`);
  return [time, key ?? '-', pairs.length === 0 ? '-' : pairs.join(' ')];
}
