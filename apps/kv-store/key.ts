declare const brand: unique symbol;

/**
 * A key: bytes, kept as a string with one character for each (Latin-1). Such strings are compared as their bytes are, take
 * no more room than they do, and can be looked up in a `Map`.
 */
export type Key = string & { readonly [brand]: 'Key' };

/** Keys from `from` on, up to `to`, which is not one of them; without `to`: up to the last one that there is. */
export interface KeyRange {
  readonly from: Key;
  readonly to?: Key;
}

const ASCII = /^[\0-\x7f]*$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The key that these bytes are, or some of them. */
export function keyOfBytes(bytes: Uint8Array, from = 0, to = bytes.length): Key {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return buffer.toString('latin1', from, to) as Key;
}

export function bytesOfKey(key: Key): Uint8Array {
  return Buffer.from(key, 'latin1');
}

/** The key that is written so in UTF-8. */
export function keyOfText(text: string): Key {
  return (ASCII.test(text) ? text : Buffer.from(text).toString('latin1')) as Key;
}

/** `undefined` where the key is no text in UTF-8. */
export function textOfKey(key: Key): string | undefined {
  if (ASCII.test(key)) return key;
  try {
    return utf8.decode(bytesOfKey(key));
  } catch {
    return undefined;
  }
}

/** The range that holds this key alone. */
export function onlyKey(key: Key): KeyRange {
  return { from: key, to: `${key}\0` as Key };
}

/** All keys that begin with `prefix`. */
export function keysWithPrefix(prefix: Key): KeyRange {
  // The next key that does not: the last byte that can grow has grown by one.
  let end = prefix.length;
  while (end > 0 && prefix.charCodeAt(end - 1) === 0xff) end--;
  if (end === 0) return { from: prefix };
  const grown = String.fromCharCode(prefix.charCodeAt(end - 1) + 1);
  return { from: prefix, to: (prefix.slice(0, end - 1) + grown) as Key };
}

export function isInRange(key: Key, { from, to }: KeyRange): boolean {
  return key >= from && (to === undefined || key < to);
}
