import { type Codec, MESSAGE_BYTES_MAX, VarlogError } from '../base/index.ts';

/** Messages are joined up to about so many bytes. One write of HTTP/2 costs as much as many small messages. */
const JOINED_BYTES = 64 * 1024;
/** A piece of a message from this size on is sent from where it lies; copying a smaller one is cheaper than a write. */
const SEPARATE_BYTES_MIN = 16 * 1024;
/** What gRPC puts before each message: whether it is compressed, and its length. */
export const PREFIX_BYTES = 5;
/** What the first message of a write finds room in, unless the last write was larger. */
const FIRST_BYTES = 256;
const NONE = Buffer.alloc(0);

/** Encoded messages that will leave in one write, each with its prefix. */
export class GrpcFrames<Message> {
  private readonly codec: Codec<Message>;
  /** What was added up to the last piece that is sent from where it lies. */
  private pieces: Uint8Array[] = [];
  /** Where all else is written: from `begin` to `end` it is not among the pieces. */
  private buffer = NONE;
  private begin = 0;
  private end = 0;
  private separateBytes = 0;
  private count = 0;
  /** How much the last write took of its buffer: the next one may take so much too. */
  private lastEnd = FIRST_BYTES;

  constructor(codec: Codec<Message>) {
    this.codec = codec;
  }

  /** Bytes of the messages that were added, without prefixes. */
  get bytes(): number {
    return this.size - this.count * PREFIX_BYTES;
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  get isFull(): boolean {
    return this.size >= JOINED_BYTES;
  }

  /** Returns the bytes of the message. Throws `RESOURCE_EXHAUSTED` when no peer would take it. */
  add(message: Message): number {
    const { codec } = this;
    if (codec.inPlace !== undefined) {
      const length = codec.inPlace.size(message);
      this.addPrefix(length, length);
      codec.inPlace.write(message, this.buffer, this.end);
      this.end += length;
      return length;
    }
    const parts = codec.encodeParts?.(message) ?? [codec.encode(message)];
    let length = 0;
    let copied = 0;
    for (const part of parts) {
      length += part.length;
      if (part.length < SEPARATE_BYTES_MIN) copied += part.length;
    }
    this.addPrefix(length, copied);
    for (const part of parts) this.addPart(part);
    return length;
  }

  /** All that were added, as they go over the connection, in pieces that follow each other; none are left. */
  take(): readonly Uint8Array[] {
    this.cut();
    const { pieces } = this;
    this.lastEnd = Math.max(FIRST_BYTES, this.end);
    this.pieces = [];
    this.buffer = NONE;
    this.begin = 0;
    this.end = 0;
    this.separateBytes = 0;
    this.count = 0;
    return pieces;
  }

  private get size(): number {
    return this.end + this.separateBytes;
  }

  /** The prefix of a message of so many bytes, of which so many will be copied behind it. */
  private addPrefix(length: number, copied: number): void {
    if (length > MESSAGE_BYTES_MAX) {
      throw new VarlogError('RESOURCE_EXHAUSTED', {
        what: `Sent message larger than max (${length} vs. ${MESSAGE_BYTES_MAX})`,
        next: 'send it in parts',
      });
    }
    const at = this.end;
    this.end = at + PREFIX_BYTES;
    if (this.end + copied > this.buffer.length) this.grow(at, this.end + copied);
    const { buffer } = this;
    buffer[at] = 0;
    buffer[at + 1] = length >>> 24;
    buffer[at + 2] = length >>> 16;
    buffer[at + 3] = length >>> 8;
    buffer[at + 4] = length;
    this.count++;
  }

  private addPart(part: Uint8Array): void {
    if (part.length < SEPARATE_BYTES_MIN) {
      this.buffer.set(part, this.end);
      this.end += part.length;
      return;
    }
    this.cut();
    this.pieces.push(part);
    this.separateBytes += part.length;
  }

  private cut(): void {
    if (this.end > this.begin) this.pieces.push(this.buffer.subarray(this.begin, this.end));
    this.begin = this.end;
  }

  private grow(used: number, needed: number): void {
    const wanted = Math.min(Math.max(2 * this.buffer.length, this.lastEnd), 2 * JOINED_BYTES);
    const larger = Buffer.allocUnsafe(Math.max(needed, wanted));
    larger.set(this.buffer.subarray(0, used));
    this.buffer = larger;
  }
}
