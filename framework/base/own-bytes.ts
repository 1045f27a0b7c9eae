/**
 * Bytes to keep for longer. What arrives from the network is often a small view of a large buffer,
 * which it would keep in memory as a whole; such bytes are copied, others are returned as they are.
 */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > 2 * bytes.length + SLACK_BYTES ? new Uint8Array(bytes) : bytes;
}

const SLACK_BYTES = 256;
