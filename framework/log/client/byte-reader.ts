/** Takes so many bytes at a time from pieces of whatever size, with no more in memory than that and one piece. */
export class ByteReader {
  private readonly pieces: AsyncIterator<Uint8Array>;
  private piece: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.pieces = source[Symbol.asyncIterator]();
  }

  /** The next `count` bytes, as the caller's own or a view; `undefined` when fewer are left. */
  async take(count: number): Promise<Uint8Array | undefined> {
    if (this.piece.length < count && !(await this.gather(count))) return undefined;
    const taken = this.piece.subarray(0, count);
    this.piece = this.piece.subarray(count);
    return taken;
  }

  /** Whether nothing is left. */
  async isThrough(): Promise<boolean> {
    return !(await this.gather(1));
  }

  async close(): Promise<void> {
    await this.pieces.return?.();
  }

  private async gather(count: number): Promise<boolean> {
    const parts = [this.piece];
    let length = this.piece.length;
    while (length < count) {
      const { done, value } = await this.pieces.next();
      if (done === true) break;
      parts.push(value);
      length += value.length;
    }
    this.piece = parts.length === 1 ? parts[0]! : joined(parts, length);
    return length >= count;
  }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
