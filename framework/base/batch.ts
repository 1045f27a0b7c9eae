import { VarlogError } from './errors.ts';

/**
 * A batch of records as it travels: framed once by the client and passed on, byte for byte, by the
 * primary, the backups, the disk and the subscriber.
 *
 * ```
 *   record*:  length (uint32, little endian) | bytes
 * ```
 */
export interface Batch {
  /** Number of records, at least 1. */
  readonly count: number;
  /** The framed records. */
  readonly bytes: Uint8Array;
}

const LENGTH_BYTES = 4;

/** Frames records into a batch. Copies them once. */
export function encodeBatch(records: readonly Uint8Array[]): Batch {
  let size = 0;
  for (const record of records) size += LENGTH_BYTES + record.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const record of records) {
    view.setUint32(offset, record.length, true);
    bytes.set(record, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + record.length;
  }
  return { count: records.length, bytes };
}

/** The records of a batch, as views of its bytes. Throws `CORRUPT` when the framing does not add up. */
export function decodeBatch(batch: Batch): Uint8Array[] {
  const { bytes, count } = batch;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records = new Array<Uint8Array>(count);
  let offset = 0;
  for (let i = 0; i < count; i++) {
    if (offset + LENGTH_BYTES > bytes.length) throw misframed(batch);
    const end = offset + LENGTH_BYTES + view.getUint32(offset, true);
    if (end > bytes.length) throw misframed(batch);
    records[i] = bytes.subarray(offset + LENGTH_BYTES, end);
    offset = end;
  }
  if (offset !== bytes.length) throw misframed(batch);
  return records;
}

/**
 * Checks the framing without making views: what a node does with bytes that a client sent.
 * Returns the size of the largest record. Throws `CORRUPT` like {@link decodeBatch}.
 */
export function checkBatch(batch: Batch): number {
  const { bytes, count } = batch;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  let largest = 0;
  for (let i = 0; i < count; i++) {
    if (offset + LENGTH_BYTES > bytes.length) throw misframed(batch);
    const length = view.getUint32(offset, true);
    largest = Math.max(largest, length);
    offset += LENGTH_BYTES + length;
  }
  if (offset !== bytes.length) throw misframed(batch);
  return largest;
}

function misframed(batch: Batch): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `a batch of ${batch.bytes.length} bytes does not hold the ${batch.count} records it announces`,
    next: 'build batches with encodeBatch',
  });
}
