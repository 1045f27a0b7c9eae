/**
 * Bytes to keep for longer. What arrives from the network is often a small view of a large buffer,
 * which it would keep in memory as a whole; such bytes are copied, others are returned as they are.
 */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > 2 * bytes.length + SLACK_BYTES ? new Uint8Array(bytes) : bytes;
}

const SLACK_BYTES = 256;

/**
 * The same for bytes that are let go of together, one soon after the other: they may share one buffer, which they fill for
 * the most part.
 */
export function ownTogether(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const [first] = parts;
  if (first === undefined) return parts;
  let size = 0;
  let isShared = true;
  for (const { buffer, length } of parts) {
    size += length;
    isShared &&= buffer === first.buffer;
  }
  if (isShared && first.buffer.byteLength <= 2 * size + SLACK_BYTES) return parts;
  const own = new Uint8Array(size);
  let end = 0;
  return parts.map((part) => {
    const begin = end;
    own.set(part, begin);
    end += part.length;
    return own.subarray(begin, end);
  });
}
