import { VarlogError } from '../base/index.ts';
import { PREFIX_BYTES } from './grpc-frames.ts';

const NONE: readonly Buffer[] = [];

/** Takes messages out of the bytes of a gRPC stream, however these are cut. */
export class GrpcFrameReader {
  private readonly messageBytesMax: number;
  private chunks: Buffer[] = [];
  private size = 0;
  /** Until so many bytes are here, nothing is whole. */
  private needed = PREFIX_BYTES;

  constructor(messageBytesMax: number) {
    this.messageBytesMax = messageBytesMax;
  }

  /** Whether a part of a message has come, and not all of it. */
  get isMidway(): boolean {
    return this.size > 0;
  }

  /** The messages that `chunk` completes, as views. Throws `RESOURCE_EXHAUSTED` for one that is too large. */
  push(chunk: Buffer): readonly Buffer[] {
    this.chunks.push(chunk);
    this.size += chunk.length;
    if (this.size < this.needed) return NONE;
    const bytes = this.chunks.length === 1 ? chunk : Buffer.concat(this.chunks, this.size);
    const found: Buffer[] = [];
    let at = 0;
    this.needed = PREFIX_BYTES;
    while (bytes.length - at >= PREFIX_BYTES) {
      const end = at + PREFIX_BYTES + this.lengthAt(bytes, at);
      if (end > bytes.length) {
        this.needed = end - at;
        break;
      }
      found.push(bytes.subarray(at + PREFIX_BYTES, end));
      at = end;
    }
    this.size = bytes.length - at;
    this.chunks = this.size === 0 ? [] : [bytes.subarray(at)];
    return found;
  }

  private lengthAt(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at + 1);
    if (bytes[at] !== 0) {
      throw new VarlogError('UNIMPLEMENTED', {
        what: 'a message is compressed, and the call did not say how',
        next: 'send messages as they are',
      });
    }
    if (length <= this.messageBytesMax) return length;
    throw new VarlogError('RESOURCE_EXHAUSTED', {
      what: `Received message larger than max (${length} vs ${this.messageBytesMax})`,
      next: 'send it in parts',
    });
  }
}
