/** Stores take parts from 5 MiB on. One is hashed in one go, so that a larger one would stop the replica for longer. */
const PART_BYTES = 8 * 1024 * 1024;

export interface Part {
  /** To be used before the next part is asked for: that one takes its place. */
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

/** All of `chunks` in parts of the same size, but for the last, which may be empty only where there is no other. */
export async function* partsOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Part> {
  const part = new Uint8Array(PART_BYTES);
  let length = 0;
  for await (const chunk of chunks) {
    for (let rest = chunk; rest.length > 0; ) {
      if (length === PART_BYTES) {
        yield { bytes: part, isLast: false };
        length = 0;
      }
      const taken = rest.subarray(0, PART_BYTES - length);
      part.set(taken, length);
      length += taken.length;
      rest = rest.subarray(taken.length);
    }
  }
  yield { bytes: part.subarray(0, length), isLast: true };
}
