import type { Codec } from '../base/index.ts';

/** Messages are joined up to about so many bytes. One write of HTTP/2 costs as much as many small messages. */
const JOINED_BYTES = 64 * 1024;
/** What gRPC puts before each message: whether it is compressed, and its length. */
export const PREFIX_BYTES = 5;
/** What the first message of a write finds room in, unless the last write was larger. */
const FIRST_BYTES = 256;

/** Encoded messages that will leave in one write, each with its prefix. */
export class GrpcFrames<Message> {
  private readonly codec: Codec<Message>;
  private buffer = Buffer.alloc(0);
  private size = 0;
  private count = 0;
  /** How large the last write was: the next one may become so too. */
  private lastSize = FIRST_BYTES;

  constructor(codec: Codec<Message>) {
    this.codec = codec;
  }

  /** Bytes of the messages that were added, without prefixes. */
  get bytes(): number {
    return this.size - this.count * PREFIX_BYTES;
  }

  get isEmpty(): boolean {
    return this.size === 0;
  }

  get isFull(): boolean {
    return this.size >= JOINED_BYTES;
  }

  /** Returns the bytes of the message. */
  add(message: Message): number {
    const { inPlace } = this.codec;
    if (inPlace === undefined) {
      const bytes = this.codec.encode(message);
      const at = this.begin(bytes.length);
      this.buffer.set(bytes, at);
      return bytes.length;
    }
    const length = inPlace.size(message);
    const at = this.begin(length);
    inPlace.write(message, this.buffer, at);
    return length;
  }

  /** All that were added, as they go over the connection; none are left. */
  take(): Buffer {
    const joined = this.buffer.subarray(0, this.size);
    this.lastSize = Math.max(FIRST_BYTES, this.size);
    this.buffer = Buffer.alloc(0);
    this.size = 0;
    this.count = 0;
    return joined;
  }

  /** Writes the prefix of a message; returns where the message itself is to be written. */
  private begin(length: number): number {
    const at = this.size;
    const end = at + PREFIX_BYTES + length;
    if (end > this.buffer.length) this.grow(end);
    const { buffer } = this;
    buffer[at] = 0;
    buffer[at + 1] = length >>> 24;
    buffer[at + 2] = length >>> 16;
    buffer[at + 3] = length >>> 8;
    buffer[at + 4] = length;
    this.size = end;
    this.count++;
    return at + PREFIX_BYTES;
  }

  private grow(needed: number): void {
    const wanted = Math.min(Math.max(2 * this.buffer.length, this.lastSize), 2 * JOINED_BYTES);
    const larger = Buffer.allocUnsafe(Math.max(needed, wanted));
    larger.set(this.buffer.subarray(0, this.size));
    this.buffer = larger;
  }
}
