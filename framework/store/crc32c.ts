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
