import { formatUnknown } from '../base/index.ts';
import type { ValueFormat } from './state-file.ts';

/**
 * A small value as JSON. Later versions may add properties, which older ones pass over; one that must not be read
 * without knowing more has a property `format`. `known`: the one that is known beside none.
 */
export function jsonFormat<T extends object>(known?: number): ValueFormat<T> {
  return { encode: encodeJsonValue, decode: (bytes, path) => decodeJsonValue(bytes, path, known) };
}

function encodeJsonValue(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Throws `FORMAT_UNKNOWN` for a value of a later version. `path` names the file in the error. */
export function decodeJsonValue<T>(bytes: Uint8Array, path: string, known?: number): T {
  const value = JSON.parse(new TextDecoder().decode(bytes)) as T & { readonly format?: unknown };
  const { format } = value;
  if (format === undefined || format === known) return value;
  const reads = known === undefined ? 'values without a format' : `format ${known} or none`;
  const found = `format ${JSON.stringify(format)}`;
  throw formatUnknown({ what: path, path, found, reads });
}
