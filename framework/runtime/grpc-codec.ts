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

/**
 * Passes the bytes of a message through grpc-js as they are. Decoding is left to where its error can be
 * told to the caller: grpc-js would replace it by one of its own. Messages of streams are encoded before, so
 * that their size is known.
 */
export const untouched = (bytes: Buffer): Buffer => bytes;
