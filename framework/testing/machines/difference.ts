import type { Codec } from '../../base/index.ts';

const TEXT_MAX = 120;
const DEPTH_MAX = 100;

/** A value as a test saw it: whose it is, and its bytes. */
interface Seen {
  readonly at: string;
  readonly bytes: Uint8Array;
}

/**
 * In words, where two encoded values differ first; `undefined` where they mean the same. Fields of objects may come in
 * any order: a snapshot is no worse for it.
 */
export function differenceOf<T>(
  what: string,
  codec: Codec<T>,
  one: Seen,
  other: Seen,
): string | undefined {
  if (sameBytes(one.bytes, other.bytes)) return undefined;
  const found = firstDifference(codec.decode(one.bytes), codec.decode(other.bytes), what, 0);
  if (found === undefined) return undefined;
  return `${found.path} is ${show(found.one)} ${one.at} and ${show(found.other)} ${other.at}`;
}

/** A value as a short text. */
export function show(value: unknown): string {
  const text = textOf(value);
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}…`;
}

function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
  if (value instanceof Map || value instanceof Set) return textOf([...value]);
  try {
    const json = JSON.stringify(value, (_, it: unknown) =>
      typeof it === 'bigint' ? `${it}n` : it,
    );
    return json ?? String(value);
  } catch {
    return String(value);
  }
}

interface Difference {
  readonly path: string;
  readonly one: unknown;
  readonly other: unknown;
}

/** `path` is where the values were found. Below {@link DEPTH_MAX} everything counts as equal: it may be a cycle. */
export function firstDifference(
  one: unknown,
  other: unknown,
  path: string,
  depth: number,
): Difference | undefined {
  if (Object.is(one, other) || depth > DEPTH_MAX) return undefined;
  const [left, right] = [fieldsOf(one), fieldsOf(other)];
  if (left === undefined || right === undefined || left.kind !== right.kind)
    return { path, one, other };
  for (const key of new Set([...left.fields.keys(), ...right.fields.keys()])) {
    const at = typeof key === 'number' ? `${path}[${key}]` : `${path}.${String(key)}`;
    const found = firstDifference(left.fields.get(key), right.fields.get(key), at, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What a value consists of; `undefined` where it is one piece. */
function fieldsOf(value: unknown): { kind: string; fields: Map<unknown, unknown> } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return { kind: 'array', fields: new Map(value.entries()) };
  if (value instanceof Uint8Array) return { kind: 'bytes', fields: new Map(value.entries()) };
  if (value instanceof Set) return { kind: 'set', fields: new Map([...value].entries()) };
  if (value instanceof Map) return { kind: 'map', fields: new Map(value) };
  const kind = Object.prototype.toString.call(value);
  if (kind !== '[object Object]') return { kind, fields: new Map([['value', String(value)]]) };
  return { kind, fields: new Map(Object.entries(value)) };
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
