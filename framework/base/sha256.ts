/**
 * SHA-256 (FIPS 180-4) of the parts, one after the other: 32 bytes. In plain TypeScript, because the code that needs it
 * runs in the simulator too, where nothing of the host is at hand.
 */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const state = new Int32Array(INITIAL);
  const block = new Uint8Array(BLOCK_BYTES);
  let length = 0;
  let filled = 0;
  for (const part of parts) {
    length += part.length;
    let at = 0;
    while (at < part.length) {
      if (filled === 0 && part.length - at >= BLOCK_BYTES) {
        compress(state, part, at);
        at += BLOCK_BYTES;
        continue;
      }
      const taken = Math.min(BLOCK_BYTES - filled, part.length - at);
      block.set(part.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < BLOCK_BYTES) continue;
      compress(state, block, 0);
      filled = 0;
    }
  }
  block.fill(0, filled);
  block[filled] = 0x80;
  if (filled >= BLOCK_BYTES - 8) {
    compress(state, block, 0);
    block.fill(0);
  }
  const end = new DataView(block.buffer);
  end.setUint32(56, Math.floor((length * 8) / 2 ** 32));
  end.setUint32(60, (length * 8) % 2 ** 32);
  compress(state, block, 0);
  const digest = new Uint8Array(32);
  const view = new DataView(digest.buffer);
  for (let i = 0; i < 8; i++) view.setInt32(4 * i, state[i]!);
  return digest;
}

const BLOCK_BYTES = 64;

/** The first 64 primes: of their roots the fractions make up the constants. */
const PRIMES = firstPrimes(64);
const INITIAL = PRIMES.slice(0, 8).map((it) => fraction(Math.sqrt(it)));
const K = Int32Array.from(PRIMES, (it) => fraction(Math.cbrt(it)));
const W = new Int32Array(64);

function firstPrimes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((it) => n % it !== 0)) found.push(n);
  return found;
}

/** The first 32 bits of the fraction. */
function fraction(value: number): number {
  return Math.floor((value - Math.floor(value)) * 2 ** 32) | 0;
}

function compress(state: Int32Array, bytes: Uint8Array, start: number): void {
  for (let i = 0, at = start; i < 16; i++, at += 4) {
    W[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }
  for (let i = 16; i < 64; i++) {
    const x = W[i - 15]!;
    const y = W[i - 2]!;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    W[i] = (W[i - 16]! + s0 + W[i - 7]! + s1) | 0;
  }
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  let e = state[4]!;
  let f = state[5]!;
  let g = state[6]!;
  let h = state[7]!;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i]! + W[i]!) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
  state[5]! += f;
  state[6]! += g;
  state[7]! += h;
}
