/*
 * A message of Protocol Buffers may be read before its end has come, since it is one field after the other: the fields that
 * are there make a message themselves.
 */

/** Tags, by their lower three bits: a number of 1 to 10 bytes, 8 bytes, a length and so many bytes, 4 bytes. */
const [VARINT, FIXED64, BYTES, FIXED32] = [0, 1, 2, 5];

/**
 * Pieces of one message, whose `contents` come cut anywhere, each with fields that are whole. What is left at its end, or is no
 * field, is given as it is: for whoever decodes it to find.
 */
export async function* wholeFields(
  contents: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let begun: Uint8Array[] = [];
  let [length, needed] = [0, 0];
  for await (const content of contents) {
    begun.push(content);
    length += content.length;
    // To look again at each content would cost more and more, where a field goes on for many.
    if (length < needed) continue;
    const bytes = begun.length === 1 ? content : Buffer.concat(begun);
    let whole = 0;
    let end = endOfField(bytes, 0);
    for (; end <= bytes.length; end = endOfField(bytes, end)) whole = end;
    if (whole > 0) yield bytes.subarray(0, whole);
    begun = whole < bytes.length ? [bytes.subarray(whole)] : [];
    length = bytes.length - whole;
    needed = end - whole;
  }
  if (length > 0) yield Buffer.concat(begun);
}

/** Where the field ends that begins at `start`: behind all that is there, where it goes on. */
function endOfField(bytes: Uint8Array, start: number): number {
  const tag = varint(bytes, start);
  switch (tag.value & 7) {
    case VARINT:
      return varint(bytes, tag.end).end;
    case FIXED64:
      return tag.end + 8;
    case FIXED32:
      return tag.end + 4;
    case BYTES: {
      const length = varint(bytes, tag.end);
      return length.end + length.value;
    }
    default:
      return Number.POSITIVE_INFINITY;
  }
}

function varint(bytes: Uint8Array, start: number): { value: number; end: number } {
  let value = 0;
  for (let at = start, unit = 1; at < bytes.length; at++, unit *= 128) {
    const byte = bytes[at] as number;
    value += (byte & 127) * unit;
    if (byte < 128) return { value, end: at + 1 };
  }
  return { value: 0, end: bytes.length + 1 };
}
