/** Values of up to this many bytes share memory: a piece of it each costs more than the bytes themselves. */
const SHARED_MAX = 4 * 1024;
const PIECE_BYTES = 64 * 1024;

let piece = new Uint8Array();
let used = 0;

/** A copy of these bytes, or some of them: a view would keep the whole batch in memory that they came in. */
export function copyOfValue(bytes: Uint8Array, from = 0, to = bytes.length): Uint8Array {
  const length = to - from;
  if (length > SHARED_MAX) return bytes.slice(from, to);
  if (used + length > piece.length) {
    piece = new Uint8Array(PIECE_BYTES);
    used = 0;
  }
  const start = used;
  used += length;
  piece.set(bytes.subarray(from, to), start);
  return piece.subarray(start, used);
}

/** The value in memory of its own, for one that stays longer than those beside it: it would keep all of them. */
export function ownValue(value: Uint8Array): Uint8Array {
  return value.length === value.buffer.byteLength ? value : new Uint8Array(value);
}
