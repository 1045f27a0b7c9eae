const BASIS = 0xcbf29ce484222325n;
const PRIME = 0x100000001b3n;
const UINT64 = (1n << 64n) - 1n;

/** A number below 2^64 that is the same for the same text for ever (FNV-1a, over its UTF-8). It keeps apart, it does not authenticate. */
export function fnv1a(text: string): bigint {
  let hash = BASIS;
  for (const byte of new TextEncoder().encode(text))
    hash = ((hash ^ BigInt(byte)) * PRIME) & UINT64;
  return hash;
}
