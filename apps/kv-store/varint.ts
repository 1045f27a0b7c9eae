/*
 * Whole numbers as protobuf writes them, for those few messages that are written and read without making an object for each.
 */

export function sizeOfVarint(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Returns where it ends. */
export function writeVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) | 128;
  bytes[at++] = rest;
  return at;
}

/** Bytes of a field that has `length` bytes itself. */
export function sizeOfField(length: number): number {
  return 1 + sizeOfVarint(length) + length;
}
