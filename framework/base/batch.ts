import {
  type AtomicAppend,
  type BatchAttributes,
  checkAttributes,
  decodeAtomic,
  decodeAttributes,
  decodeKeys,
  decodeProducer,
  encodeHeader,
  headerBytesOf,
  MARK,
  type Producer,
  sliceAttributes,
} from './batch-header.ts';
import { VarlogError } from './errors.ts';
import { reasonOf } from './reason.ts';

/**
 * A batch of records as it travels: framed once by the client and passed on, byte for byte, by the
 * primary, the backups, the disk and the subscriber.
 *
 * ```
 *   header?   only where there is something to say in it: see batch-header.ts
 *   record*:  length (uint32, little endian) | bytes
 * ```
 */
export interface Batch {
  /** Number of records, at least 1. */
  readonly count: number;
  /** The framed records, and the header before them. */
  readonly bytes: Uint8Array;
}

const LENGTH_BYTES = 4;

/** Frames records into a batch, with what is to be said of them. Copies them once. */
export function encodeBatch(records: readonly Uint8Array[], attributes?: BatchAttributes): Batch {
  const header = attributes === undefined ? undefined : encodeHeader(attributes, records.length);
  const start = header === undefined ? 0 : header.length;
  let size = start;
  for (const record of records) size += LENGTH_BYTES + record.length;
  const bytes = new Uint8Array(size);
  if (header !== undefined) bytes.set(header);
  const view = new DataView(bytes.buffer);
  let offset = start;
  for (const record of records) {
    view.setUint32(offset, record.length, true);
    bytes.set(record, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + record.length;
  }
  return { count: records.length, bytes };
}

/**
 * The records of a batch, as views of its bytes. Throws `CORRUPT` when the framing does not add up, and
 * `FORMAT_UNKNOWN` when a later version made it.
 */
export function decodeBatch(batch: Batch): Uint8Array[] {
  const { bytes, count } = batch;
  const view = viewOf(bytes);
  const records = new Array<Uint8Array>(count);
  let offset = startOf(batch);
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
 * Checks the framing, and the header where there is one, without making views: what a node does with
 * bytes that a client sent. Returns the size of the largest record. Throws like {@link decodeBatch}.
 */
export function checkBatch(batch: Batch): number {
  const { bytes, count } = batch;
  const view = viewOf(bytes);
  let offset = startOf(batch);
  if (offset > 0) checkAttributes(bytes, count);
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

/**
 * The same for a batch that somebody wants to have appended: throws `INVALID_ARGUMENT` where it was built wrongly, and
 * `FORMAT_UNKNOWN` where a later version built it.
 */
export function checkSentBatch(batch: Batch): number {
  try {
    return checkBatch(batch);
  } catch (cause) {
    if (VarlogError.is(cause, 'FORMAT_UNKNOWN')) throw cause;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: reasonOf(cause),
      outcome: 'notAppended',
      cause,
    });
  }
}

/** What is said of a batch and its records beside them. Throws like {@link decodeBatch}. */
export function attributesOf(batch: Batch): BatchAttributes {
  return startOf(batch) === 0 ? {} : decodeAttributes(batch.bytes, batch.count);
}

/** Who appends the batch, where it says so. Throws like {@link decodeBatch}. */
export function producerOf(batch: Batch): Producer | undefined {
  return startOf(batch) === 0 ? undefined : decodeProducer(batch.bytes);
}

/** The keys of its records, by their indexes, where there are any: views. Throws like {@link decodeBatch}. */
export function keysOf(batch: Batch): ReadonlyMap<number, Uint8Array> | undefined {
  return startOf(batch) === 0 ? undefined : decodeKeys(batch.bytes, batch.count);
}

/** What the batch is a part of, where it says so. Throws like {@link decodeBatch}. */
export function atomicOf(batch: Batch): AtomicAppend | undefined {
  return startOf(batch) === 0 ? undefined : decodeAtomic(batch.bytes, batch.count);
}

/** Where the length of the first record lies. Throws like {@link decodeBatch}. */
export function startOf({ bytes }: Batch): number {
  return bytes.length < LENGTH_BYTES || bytes[LENGTH_BYTES - 1] !== MARK ? 0 : headerBytesOf(bytes);
}

/**
 * `count` records of a batch from the one at `skip` on, as a batch. A view where the batch has no
 * header; otherwise a copy, which says of these records what the batch said of them.
 */
export function sliceBatch(batch: Batch, skip: number, count: number): Batch {
  const { bytes } = batch;
  if (skip === 0 && count === batch.count) return batch;
  const start = startOf(batch);
  if (start > 0) {
    const records = decodeBatch(batch).slice(skip, skip + count);
    return encodeBatch(records, sliceAttributes(attributesOf(batch), skip, count));
  }
  const view = viewOf(bytes);
  const over = (offset: number): number => offset + LENGTH_BYTES + view.getUint32(offset, true);
  let begin = start;
  for (let i = 0; i < skip; i++) begin = over(begin);
  let end = bytes.length;
  if (skip + count < batch.count) {
    end = begin;
    for (let i = 0; i < count; i++) end = over(end);
  }
  return { count, bytes: bytes.subarray(begin, end) };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function misframed(batch: Batch): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `a batch of ${batch.bytes.length} bytes does not hold the ${batch.count} records it announces`,
    next: 'build batches with encodeBatch',
  });
}
