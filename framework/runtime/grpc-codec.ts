import type { Codec } from '../base/index.ts';

/** A codec's encoder, as grpc-js wants it: without a copy. */
export function serializer<T>(codec: Codec<T>): (message: T) => Buffer {
  return (message) => {
    const bytes = codec.encode(message);
    return Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

/** A codec's encoder, in pieces that follow each other. */
export function partsEncoder<T>(codec: Codec<T>): (message: T) => readonly Uint8Array[] {
  return (message) => codec.encodeParts?.(message) ?? [codec.encode(message)];
}

export function bytesOf(parts: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}

/**
 * An encoded message in pieces, which grpc-js copies into the buffer that it sends. Of a message it asks its length and this
 * copy only.
 */
export class PartedMessage implements Pick<Buffer, 'length' | 'byteLength'> {
  readonly length: number;
  readonly byteLength: number;
  private readonly parts: readonly Uint8Array[];

  constructor(parts: readonly Uint8Array[], bytes: number) {
    this.parts = parts;
    this.length = bytes;
    this.byteLength = bytes;
  }

  copy(target: Uint8Array, targetStart: number): number {
    let at = targetStart;
    for (const part of this.parts) {
      target.set(part, at);
      at += part.length;
    }
    return this.length;
  }
}

/**
 * Passes the bytes of a message through grpc-js as they are. Decoding is left to where its error can be
 * told to the caller: grpc-js would replace it by one of its own. Messages of streams are encoded before, so
 * that their size is known.
 */
export const untouched = (bytes: Buffer): Buffer => bytes;
