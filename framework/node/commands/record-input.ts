import { BATCH_BYTES_MAX, LARGEST_RECORD_BYTES, VarlogError } from '../../base/index.ts';

/** How records are written on the standard input and in arguments. */
export type RecordFormat = 'text' | 'base64' | 'binary';

const NEWLINE = 0x0a;
/** What a record's length takes in a batch. */
const FRAME_BYTES = 4;
/** A record in base64 has more characters than bytes; what is longer than this is none. */
const LINE_BYTES_MAX = 2 * LARGEST_RECORD_BYTES;

/**
 * The records of a byte stream, in batches that can be appended as they are: whatever has come is passed on at
 * once. `text`: each line is a record, byte for byte; only \n ends a line. `base64`: each line is a record in that
 * notation. `binary`: the whole stream is one record. Throws `ENTRY_TOO_LARGE` or `INVALID_ARGUMENT`; batches
 * before that were passed on.
 */
export async function* recordBatches(
  input: AsyncIterable<Uint8Array>,
  format: RecordFormat,
): AsyncGenerator<Uint8Array[]> {
  if (format === 'binary') {
    yield [await wholeOf(input)];
    return;
  }
  for await (const lines of arrivedLines(input)) {
    yield* inBatches(format === 'base64' ? lines.map((it) => fromBase64(it.toString())) : lines);
  }
}

/** The bytes that a text in base64 stands for. Throws `INVALID_ARGUMENT`. */
export function fromBase64(text: string): Uint8Array {
  const plain = text.trim();
  const bytes = Buffer.from(plain, 'base64');
  const isWhole = bytes.toString('base64').replace(/=+$/, '') === plain.replace(/=+$/, '');
  if (isWhole) return bytes;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `"${plain.slice(0, 60)}" is not base64`,
    next: 'leave out --base64 to append it as text',
    outcome: 'notAppended',
  });
}

/** The lines that each chunk completes; at the end the one that no \n ends. */
async function* arrivedLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer[]> {
  let begun: Uint8Array[] = [];
  let begunBytes = 0;
  for await (const chunk of input) {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      lines.push(Buffer.concat([...begun, chunk.subarray(start, end)]));
      begun = [];
      begunBytes = 0;
      start = end + 1;
    }
    if (lines.length > 0) yield lines;
    if (start === chunk.length) continue;
    begun.push(chunk.subarray(start));
    begunBytes += chunk.length - start;
    if (begunBytes > LINE_BYTES_MAX) throw tooLarge('a line');
  }
  if (begunBytes > 0) yield [Buffer.concat(begun)];
}

function* inBatches(records: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = [];
  let bytes = 0;
  for (const record of records) {
    const framed = record.length + FRAME_BYTES;
    if (batch.length > 0 && bytes + framed > BATCH_BYTES_MAX) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(record);
    bytes += framed;
  }
  if (batch.length > 0) yield batch;
}

async function wholeOf(input: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > LARGEST_RECORD_BYTES) throw tooLarge('the standard input');
  }
  return Buffer.concat(chunks);
}

function tooLarge(what: string): VarlogError {
  return new VarlogError('ENTRY_TOO_LARGE', {
    what: `${what} is longer than a record may be, which is ${LARGEST_RECORD_BYTES} bytes`,
    next: 'split it, or store the payload elsewhere and append a reference',
    outcome: 'notAppended',
  });
}
