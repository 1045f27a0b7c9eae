import {
  BATCH_BYTES_MAX,
  type Batch,
  encodeBatch,
  PRODUCER_HEADER_BYTES,
  type Producer,
  RECORD_BYTES_MAX,
  VarlogError,
} from '../../base/index.ts';

/** What can be appended as a record. Text is stored as UTF-8. */
export type RecordInput = Uint8Array | string;

const utf8 = new TextEncoder();

/**
 * Frames what a caller wants to append, with who appends it where that matters; copies it. Throws `EMPTY_BATCH`, `ENTRY_TOO_LARGE` or `INVALID_ARGUMENT`:
 * nothing was sent then.
 */
export function toBatch(input: RecordInput | readonly RecordInput[], producer?: Producer): Batch {
  const given: readonly unknown[] = Array.isArray(input) ? input : [input];
  if (given.length === 0) {
    throw refused('EMPTY_BATCH', 'an append of no records', 'give at least one record');
  }
  const records = given.map((it, index) => toBytes(it, index));
  let framed = producer === undefined ? 0 : PRODUCER_HEADER_BYTES;
  for (let i = 0; i < records.length; i++) {
    const size = records[i]!.length;
    framed += size + 4;
    if (size > RECORD_BYTES_MAX) {
      throw refused(
        'ENTRY_TOO_LARGE',
        `record ${i} has ${size} bytes; a record may have ${RECORD_BYTES_MAX}`,
        'split it, or store the payload elsewhere and append a reference',
      );
    }
  }
  if (framed > BATCH_BYTES_MAX) {
    throw refused(
      'ENTRY_TOO_LARGE',
      `the batch has ${framed} bytes; a batch may have ${BATCH_BYTES_MAX}`,
      'append it in several batches',
    );
  }
  return encodeBatch(records, producer && { producer });
}

function toBytes(record: unknown, index: number): Uint8Array {
  if (record instanceof Uint8Array) return record;
  if (typeof record === 'string') return utf8.encode(record);
  const kind = record === null ? 'null' : typeof record;
  throw refused(
    'INVALID_ARGUMENT',
    `record ${index} is neither bytes nor text but ${kind}`,
    'pass a Uint8Array (a Buffer is one), or text such as JSON.stringify(value)',
  );
}

function refused(
  code: 'EMPTY_BATCH' | 'ENTRY_TOO_LARGE' | 'INVALID_ARGUMENT',
  what: string,
  next: string,
): VarlogError {
  return new VarlogError(code, { what, next, outcome: 'notAppended' });
}
