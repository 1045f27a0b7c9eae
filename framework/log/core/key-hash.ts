/** Multipliers of two rounds that differ, so that together they say more than 32 bits. */
const FIRST = 2_654_435_761;
const SECOND = 1_597_334_677;

/**
 * A number below 2^53 that stands for a key; written to disk, so it never changes. Two keys with the same number count
 * as one: then an append may be refused on account of the other key, and never accepted.
 */
export function keyHash(key: Uint8Array): number {
  let low = 0xdeadbeef;
  let high = 0x41c6ce57;
  for (let i = 0; i < key.length; i++) {
    low = Math.imul(low ^ key[i]!, FIRST);
    high = Math.imul(high ^ key[i]!, SECOND);
  }
  low = mixed(low, high);
  high = mixed(high, low);
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}

function mixed(value: number, other: number): number {
  const once = Math.imul(value ^ (value >>> 16), 2_246_822_507);
  return once ^ Math.imul(other ^ (other >>> 13), 3_266_489_909);
}
