import { Buffer } from 'node:buffer';
import { type Key, keyOfBytes } from './key.ts';
import { copyOfValue } from './value-memory.ts';
import { sizeOfField, writeVarint } from './varint.ts';

/*
 * Message `Operation` (stored.proto) of a put without a condition, which most commands are: written and read without an
 * object for each message within.
 */
const WRITE = 0x0a;
const KEY = 0x0a;
const PUT = 0x12;

/** `header`: what stands before the message. */
export function encodePut(header: readonly number[], key: Key, value: Uint8Array): Uint8Array {
  const size = sizeOfField(key.length) + sizeOfField(value.length);
  const bytes = Buffer.allocUnsafe(header.length + sizeOfField(size));
  let at = 0;
  for (const byte of header) bytes[at++] = byte;
  bytes[at] = WRITE;
  at = writeVarint(bytes, at + 1, size);
  bytes[at] = KEY;
  at = writeVarint(bytes, at + 1, key.length);
  for (let i = 0; i < key.length; i++) bytes[at++] = key.charCodeAt(i);
  bytes[at] = PUT;
  at = writeVarint(bytes, at + 1, value.length);
  bytes.set(value, at);
  return bytes;
}

/** Reads a message that begins at `start` and goes to the end; `undefined` where it is another command. */
export function decodePut(
  bytes: Uint8Array,
  start: number,
): { op: 'put'; key: Key; value: Uint8Array } | undefined {
  const { length } = bytes;
  const write = begin(bytes, start, WRITE);
  if (write.to !== length) return undefined;
  const key = begin(bytes, write.from, KEY);
  const value = begin(bytes, key.to, PUT);
  if (value.to !== length) return undefined;
  return {
    op: 'put',
    key: keyOfBytes(bytes, key.from, key.to),
    value: copyOfValue(bytes, value.from, value.to),
  };
}

const OTHER = { from: Number.NaN, to: Number.NaN };

/** Where the field at `start` lies; nowhere if it is another one, or not as it is written here. */
function begin(bytes: Uint8Array, start: number, tag: number): { from: number; to: number } {
  if (bytes[start] !== tag) return OTHER;
  let length = 0;
  let unit = 1;
  let at = start + 1;
  for (; ; unit *= 128) {
    const byte = bytes[at++];
    if (byte === undefined) return OTHER;
    length += (byte & 127) * unit;
    if (byte < 128) return { from: at, to: at + length };
  }
}
