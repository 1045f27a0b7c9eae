/** Messages are joined up to about so many bytes. One write of HTTP/2 costs as much as many small messages. */
const JOINED_BYTES = 64 * 1024;
/** A piece of a message from this size on is sent from where it lies; copying a smaller one is cheaper than a write. */
const SEPARATE_BYTES_MIN = 16 * 1024;
/** What gRPC puts before each message: whether it is compressed, and its length. */
export const PREFIX_BYTES = 5;

/** Encoded messages that will leave in one write, each with its prefix. */
export class GrpcFrames {
  private messages: { readonly parts: readonly Uint8Array[]; readonly bytes: number }[] = [];
  private size = 0;

  /** Bytes of the messages that were added, without prefixes. */
  get bytes(): number {
    return this.size - this.messages.length * PREFIX_BYTES;
  }

  get isEmpty(): boolean {
    return this.size === 0;
  }

  get isFull(): boolean {
    return this.size >= JOINED_BYTES;
  }

  /** Adds a message of so many bytes, in pieces that follow each other. */
  add(parts: readonly Uint8Array[], bytes: number): void {
    this.messages.push({ parts, bytes });
    this.size += PREFIX_BYTES + bytes;
  }

  /** All that were added, as they go over the connection, in pieces that follow each other; none are left. */
  take(): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    const joined = Buffer.allocUnsafe(this.size - this.separateBytes);
    let from = 0;
    let at = 0;
    for (const { parts, bytes } of this.messages) {
      joined[at] = 0;
      joined.writeUInt32BE(bytes, at + 1);
      at += PREFIX_BYTES;
      for (const part of parts) {
        if (part.length < SEPARATE_BYTES_MIN) {
          joined.set(part, at);
          at += part.length;
          continue;
        }
        if (at > from) pieces.push(joined.subarray(from, at));
        pieces.push(part);
        from = at;
      }
    }
    if (at > from) pieces.push(joined.subarray(from, at));
    this.messages = [];
    this.size = 0;
    return pieces;
  }

  private get separateBytes(): number {
    let bytes = 0;
    for (const { parts } of this.messages) {
      for (const { length } of parts) if (length >= SEPARATE_BYTES_MIN) bytes += length;
    }
    return bytes;
  }
}
