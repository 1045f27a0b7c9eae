import {
  type Batch,
  type BatchAttributes,
  encodeBatch,
  type Headers,
  PRODUCER_HEADER_BYTES,
  type RecordLimits,
  reasonOf,
  VarlogError,
} from '../../base/index.ts';
import type { RecordCodec } from './record-codec.ts';
import { encodeAttributes, type RecordAttributes } from './record-headers.ts';

/** A value to append with key and headers of its own. Made by {@link record}. */
export class RecordWith<In> {
  readonly value: In;
  readonly attributes: RecordAttributes;

  constructor(value: In, attributes: RecordAttributes) {
    this.value = value;
    this.attributes = attributes;
  }
}

/**
 * A value with key and headers of its own, among others of a batch:
 * `topic.append([record('a', { key: 'x' }), record('b', { headers: { kind: 'y' } }), 'c'])`.
 */
export function record<In>(value: In, attributes: RecordAttributes): RecordWith<In> {
  return new RecordWith(value, attributes);
}

type OneRecord<In> = In | RecordWith<In>;

/** What one append takes: a record or several. An array is always several, also where a value could be an array. */
export type AppendInput<In> = [In] extends [readonly unknown[]]
  ? readonly OneRecord<In>[]
  : OneRecord<In> | readonly OneRecord<In>[];

/**
 * Frames what a caller wants to append; copies it. `attributes` are of each record that has none of its own, `origin`
 * says who appends it, or what it is a part of, where that matters. What is over the `limits` is refused. Throws
 * `EMPTY_BATCH`, `ENTRY_TOO_LARGE` or `INVALID_ARGUMENT`: nothing was sent then.
 */
export function toBatch<In>(
  input: AppendInput<In>,
  codec: RecordCodec<unknown, In>,
  attributes: RecordAttributes,
  { recordBytes, batchBytes }: RecordLimits,
  origin?: Pick<BatchAttributes, 'producer' | 'atomic'>,
): Batch {
  const given = (Array.isArray(input) ? input : [input]) as readonly OneRecord<In>[];
  if (given.length === 0) {
    throw refused('EMPTY_BATCH', 'an append of no records', 'give at least one record');
  }
  const common = encodeAttributes(attributes);
  let recordHeaders: Map<number, Headers> | undefined;
  const records = given.map((it, index) => {
    const isOwn = it instanceof RecordWith;
    const headers = isOwn ? encodeAttributes(it.attributes) : common;
    if (headers !== undefined) {
      recordHeaders ??= new Map();
      recordHeaders.set(index, headers);
    }
    return toBytes(isOwn ? it.value : it, index, codec);
  });
  let framed = origin?.producer === undefined ? 0 : PRODUCER_HEADER_BYTES;
  for (let i = 0; i < records.length; i++) {
    const size = records[i]!.length;
    framed += size + 4;
    if (size > recordBytes) throw recordTooLarge(i, size, recordBytes);
  }
  if (framed > batchBytes) throw batchTooLarge(framed, batchBytes);
  if (recordHeaders === undefined) return encodeBatch(records, origin);
  const batch = encodeBatch(records, { recordHeaders, ...origin });
  if (batch.bytes.length > batchBytes) throw batchTooLarge(batch.bytes.length, batchBytes);
  return batch;
}

function toBytes<In>(value: In, index: number, codec: RecordCodec<unknown, In>): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = codec.encode(value);
  } catch (cause) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `record ${index} cannot be encoded`,
      because: reasonOf(cause),
      next: "pass what the topic's codec takes",
      outcome: 'notAppended',
      details: { record: index },
      cause,
    });
  }
  if (bytes instanceof Uint8Array) return bytes;
  throw refused('INVALID_ARGUMENT', `record ${index} became no bytes`, "correct the topic's codec");
}

function recordTooLarge(index: number, bytes: number, max: number): VarlogError {
  return refused(
    'ENTRY_TOO_LARGE',
    `record ${index} has ${bytes} bytes; a record may have ${max}`,
    'split it, or store the payload elsewhere and append a reference; or raise appends.recordBytesMax of the client, and --record-bytes-max of the storage nodes, up to 16 MiB',
  );
}

function batchTooLarge(bytes: number, max: number): VarlogError {
  return refused(
    'ENTRY_TOO_LARGE',
    `the batch has ${bytes} bytes; a batch may have ${max}`,
    'append it in several batches',
  );
}

function refused(
  code: 'EMPTY_BATCH' | 'ENTRY_TOO_LARGE' | 'INVALID_ARGUMENT',
  what: string,
  next: string,
): VarlogError {
  return new VarlogError(code, { what, next, outcome: 'notAppended' });
}
