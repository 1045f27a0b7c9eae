import { type Headers, VarlogError } from '../../base/index.ts';

/** What can be given as the headers of a record: an object, or pairs, in which a name may come more than once. */
export type HeadersInput =
  | Readonly<Record<string, string | Uint8Array>>
  | Iterable<readonly [name: string, value: string | Uint8Array]>;

/** The name under which a batch keeps the key of a record: see docs/formats.md. */
const KEY = '';

const encoder = new TextEncoder();
/** A byte order mark is a part of the text. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Names and values beside a record, in the order in which they were given. Names are case-sensitive; one may come more
 * than once. A value is bytes, mostly text in UTF-8.
 */
export class RecordHeaders implements Iterable<readonly [name: string, value: Uint8Array]> {
  private readonly list: Headers;

  /** Made from what a batch holds, the key left out. */
  constructor(list: Headers) {
    this.list = list;
  }

  /** How many there are. */
  get size(): number {
    return this.list.length;
  }

  /** The last value of that name, as text; `undefined` when there is none. */
  get(name: string): string | undefined {
    const value = this.bytes(name);
    return value === undefined ? undefined : decoder.decode(value);
  }

  /** The last value of that name, as bytes: a view of the message that brought it. */
  bytes(name: string): Uint8Array | undefined {
    return this.list.findLast(([it]) => it === name)?.[1];
  }

  /** All values of that name, as text. */
  getAll(name: string): string[] {
    return this.list.filter(([it]) => it === name).map(([, value]) => decoder.decode(value));
  }

  [Symbol.iterator](): IterableIterator<readonly [name: string, value: Uint8Array]> {
    return this.list[Symbol.iterator]();
  }

  /** Pairs of texts. */
  toJSON(): [name: string, value: string][] {
    return this.list.map(([name, value]) => [name, decoder.decode(value)]);
  }
}

/** Of records that have none. */
const NO_HEADERS = new RecordHeaders([]);

/** Key and headers that a caller gives with a record. */
export interface RecordAttributes {
  /** What the record is about, for its readers: it does not choose the log stream. Text is stored as UTF-8. */
  key?: string | Uint8Array;
  headers?: HeadersInput;
}

/** As a batch keeps them; nothing when nothing was given. Throws `INVALID_ARGUMENT`. */
export function encodeAttributes({ key, headers }: RecordAttributes): Headers | undefined {
  if (key === undefined && headers === undefined) return undefined;
  const list: (readonly [string, Uint8Array])[] = [];
  if (key !== undefined) list.push([KEY, toBytes(key, 'a key')]);
  for (const [name, value] of pairsOf(headers === undefined ? [] : headers)) {
    if (typeof name !== 'string' || name === '') {
      throw refused('a header has no name', 'give every header a name of one character or more');
    }
    list.push([name, toBytes(value, `header "${name}"`)]);
  }
  return list;
}

/** What a batch says of a record, for its readers. */
export function decodeAttributes(list: Headers | undefined): {
  readonly key: Uint8Array | undefined;
  readonly headers: RecordHeaders;
} {
  if (list === undefined) return { key: undefined, headers: NO_HEADERS };
  const key = list.find(([name]) => name === KEY)?.[1];
  const named = list.filter(([name]) => name !== KEY);
  return { key, headers: named.length === 0 ? NO_HEADERS : new RecordHeaders(named) };
}

function pairsOf(headers: HeadersInput): Iterable<readonly [string, unknown]> {
  if (typeof headers !== 'object' || headers === null) {
    throw refused(
      `headers are neither an object nor pairs but ${String(headers)}`,
      'pass { name: value }, or [[name, value], …]',
    );
  }
  return Symbol.iterator in headers ? headers : Object.entries(headers);
}

function toBytes(value: unknown, what: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return encoder.encode(value);
  const kind = value === null ? 'null' : typeof value;
  throw refused(`${what} is neither bytes nor text but ${kind}`, 'pass a Uint8Array or text');
}

function refused(what: string, next: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, next, outcome: 'notAppended' });
}
