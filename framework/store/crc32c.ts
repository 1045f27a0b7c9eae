import { crc32c as native } from '@node-rs/crc32';

/** Below this a call into native code costs more than the sum itself. */
const NATIVE_BYTES_MIN = 192;
const POLYNOMIAL = 0x82f63b78;
/** Eight tables of 256: `TABLES[256 * n + byte]` is the sum of `byte` followed by n zero bytes. */
const TABLES = makeTables();

/**
 * CRC-32C (Castagnoli, RFC 3720 §B.4) of `bytes[start … end-1]`, as an unsigned 32-bit number.
 * `seed` is the sum of the bytes before: sums of parts can be chained.
 */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length, seed = 0): number {
  if (end - start >= NATIVE_BYTES_MIN) return native(bytes.subarray(start, end), seed);
  return crc32cPlain(bytes, start, end, seed);
}

/** The same in plain JavaScript, eight bytes a step ("slicing by 8", Kounavis and Berry 2005). */
export function crc32cPlain(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let crc = ~seed;
  let i = start;
  for (const last = end - 7; i < last; i += 8) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc =
      TABLES[1792 + (crc & 0xff)]! ^
      TABLES[1536 + ((crc >>> 8) & 0xff)]! ^
      TABLES[1280 + ((crc >>> 16) & 0xff)]! ^
      TABLES[1024 + (crc >>> 24)]! ^
      TABLES[768 + bytes[i + 4]!]! ^
      TABLES[512 + bytes[i + 5]!]! ^
      TABLES[256 + bytes[i + 6]!]! ^
      TABLES[bytes[i + 7]!]!;
  }
  for (; i < end; i++) crc = TABLES[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * What a beginning with the sum `sum` adds to the sum of the whole when `length` bytes follow it: the sum of both side by
 * side is this, xor the sum of what follows. So either part's sum is known without reading it again.
 */
export function crc32cShift(sum: number, length: number): number {
  // x^(8 · length) modulo the polynomial, whose lowest power is the highest bit.
  let factor = 0x80000000;
  let power = 0x00800000;
  for (let left = length; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) factor = product(power, factor);
    power = product(power, power);
  }
  return product(factor, sum);
}

function product(a: number, b: number): number {
  let sum = 0;
  let shifted = b;
  for (let bit = 31; bit >= 0; bit--) {
    if ((a >>> bit) & 1) sum ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return sum >>> 0;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256]!;
    tables[i] = tables[before & 0xff]! ^ (before >>> 8);
  }
  return tables;
}
