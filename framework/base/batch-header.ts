import { VarlogError } from './errors.ts';
import { formatUnknown } from './format-unknown.ts';

/** Who appends, so that a batch that is sent again can be told from a new one. */
export interface Producer {
  /** A whole number from 0, below 2^53. */
  readonly id: number;
  /** Grows with each life of the producer, below 2^32: older ones are fenced off. */
  readonly epoch: number;
  /** Sequence number of the first record; the records after it have the following numbers. Below 2^53. */
  readonly sequence: number;
}

/** An append to several log streams at once: all of its parts are ordered together, or none is. */
export interface AtomicAppend {
  /** Tells it from all others that are under way: a whole number from 0, below 2^53. */
  readonly id: number;
  /** The log streams that have a part of it, two or more; ascending. */
  readonly logStreams: readonly number[];
}

/** Names and values, in the order in which they were given; a name may come more than once. */
export type Headers = readonly (readonly [name: string, value: Uint8Array])[];

/** What is said of a batch and of its records, beside the records themselves. */
export interface BatchAttributes {
  readonly producer?: Producer;
  /** Headers of the batch as a whole. */
  readonly headers?: Headers;
  /** Headers of single records, by their index in the batch. */
  readonly recordHeaders?: ReadonlyMap<number, Headers>;
  /** What the batch is a part of. */
  readonly atomic?: AtomicAppend;
}

/**
 * The header of a batch, little endian. One with nothing to say is left out: a batch then begins with
 * the length of its first record, and no record is so long that the highest byte of its length is the mark.
 *
 * ```
 *    0  version       uint8    1
 *    1  flags         uint8    who does not know one that is set must not take the batch: 1 producer
 *    2  hints         uint8    one that is not known may be ignored: 1 headers, 2 record headers, 4 part
 *    3  mark          uint8    0xb1
 *    4  headerLength  uint32   the first record begins there
 *    8  producer      id (uint64), epoch (uint32), sequence (uint64)
 *       headers       a list
 *       record headers   number of records that have any (varint); of each its distance from the one
 *                     before (varint; from index -1 for the first), and a list
 *       part          of an atomic append: its id (uint64), number of its log streams (varint, at least 2);
 *                     of each its distance from the one before (varint; from 0 for the first)
 * a list            number of entries (varint, at least 1); of each the bytes of the name (varint),
 *                     the name (UTF-8), the bytes of the value (varint), the value
 * a varint          seven bits a byte, the lowest first, the highest bit set in all but the last; below 2^32
 * ```
 *
 * Parts that come later, with hints of their own, follow after these; who does not know them skips them.
 */
const VERSION = 1;
/** The byte 3 of a header. */
export const MARK = 0xb1;
const PREFIX_BYTES = 8;
const PRODUCER_BYTES = 20;
/** Length of a header that says nothing but who appends. */
export const PRODUCER_HEADER_BYTES = PREFIX_BYTES + PRODUCER_BYTES;
const PRODUCER = 1;
const HEADERS = 1;
const RECORD_HEADERS = 2;
const PART = 4;
const ID_BYTES = 8;
const TWO_31 = 2 ** 31;
const TWO_32 = 2 ** 32;

const utf8 = new TextEncoder();
/** A byte order mark is a part of the text. */
const text = new TextDecoder('utf-8', { ignoreBOM: true });

/** Throws `INVALID_ARGUMENT` for attributes that cannot be written; `undefined` when they say nothing. */
export function encodeHeader(attributes: BatchAttributes, count: number): Uint8Array | undefined {
  const { producer, headers = [], atomic } = attributes;
  const recordHeaders = [...(attributes.recordHeaders ?? [])]
    .filter(([, it]) => it.length > 0)
    .sort(([a], [b]) => a - b);
  const flags = producer === undefined ? 0 : PRODUCER;
  const hints =
    (headers.length > 0 ? HEADERS : 0) |
    (recordHeaders.length > 0 ? RECORD_HEADERS : 0) |
    (atomic === undefined ? 0 : PART);
  if (flags === 0 && hints === 0) return undefined;
  const parts: Uint8Array[] = [Uint8Array.of(VERSION, flags, hints, MARK, 0, 0, 0, 0)];
  if (producer !== undefined) parts.push(encodeProducer(producer));
  if (headers.length > 0) pushList(parts, headers);
  if (recordHeaders.length > 0) {
    parts.push(varint(recordHeaders.length));
    let before = -1;
    for (const [index, list] of recordHeaders) {
      if (!Number.isSafeInteger(index) || index < 0 || index >= count) {
        throw invalid(`headers are given of record ${index}, and the batch has ${count}`);
      }
      parts.push(varint(index - before));
      pushList(parts, list);
      before = index;
    }
  }
  if (atomic !== undefined) pushAtomic(parts, atomic);
  const bytes = new Uint8Array(parts.reduce((sum, it) => sum + it.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  new DataView(bytes.buffer).setUint32(4, bytes.length, true);
  return bytes;
}

/**
 * The length of the header that a batch begins with. Throws `FORMAT_UNKNOWN` when a later version is
 * needed to read the batch, `CORRUPT` when the batch is shorter.
 */
export function headerBytesOf(bytes: Uint8Array): number {
  const [version, flags = 0] = bytes;
  if (version !== VERSION) throw unknown(`version ${version}`);
  if ((flags & ~PRODUCER) !== 0) throw unknown(`flags 0x${flags.toString(16)}`);
  if (bytes.length < PREFIX_BYTES) throw broken('it is shorter than its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(4, true);
  if (length < PREFIX_BYTES || length > bytes.length) throw broken('it is shorter than its header');
  return length;
}

/** Throws `CORRUPT` when the header of a batch of `count` records does not add up. */
export function checkAttributes(bytes: Uint8Array, count: number): void {
  parse(bytes, count, false);
}

/** What the header of a batch of `count` records says. Throws `CORRUPT` when it does not add up. */
export function decodeAttributes(bytes: Uint8Array, count: number): BatchAttributes {
  return parse(bytes, count, true);
}

/** Who the header of a batch says appends it. Throws `CORRUPT` when it does not add up. */
export function decodeProducer(bytes: Uint8Array): Producer | undefined {
  const reader = new HeaderReader(bytes.subarray(PREFIX_BYTES, headerBytesOf(bytes)), true);
  return (bytes[1]! & PRODUCER) === 0 ? undefined : reader.producer();
}

/**
 * The keys of a batch's records, by the index of the record, where the header has any: values of the empty name. Views.
 * Throws `CORRUPT` when it does not add up.
 */
export function decodeKeys(bytes: Uint8Array, count: number): Map<number, Uint8Array> | undefined {
  const [, flags = 0, hints = 0] = bytes;
  if ((hints & RECORD_HEADERS) === 0) return undefined;
  const reader = new HeaderReader(bytes.subarray(PREFIX_BYTES, headerBytesOf(bytes)), false);
  if ((flags & PRODUCER) !== 0) reader.producer();
  if ((hints & HEADERS) !== 0) reader.list();
  const keys = new Map<number, Uint8Array>();
  forEachRecord(reader, count, (index) => {
    const key = reader.keyOfList();
    if (key !== undefined) keys.set(index, key);
  });
  return keys;
}

/** What the header of a batch of `count` records says it is a part of. Throws `CORRUPT` when it does not add up. */
export function decodeAtomic(bytes: Uint8Array, count: number): AtomicAppend | undefined {
  return (bytes[2]! & PART) === 0 ? undefined : parse(bytes, count, false).atomic;
}

/** Without `keeps`, lists are walked and not made: a client may send millions of entries. */
function parse(bytes: Uint8Array, count: number, keeps: boolean): BatchAttributes {
  const reader = new HeaderReader(bytes.subarray(PREFIX_BYTES, headerBytesOf(bytes)), keeps);
  const [, flags = 0, hints = 0] = bytes;
  const found: { -readonly [Part in keyof BatchAttributes]: BatchAttributes[Part] } = {};
  if ((flags & PRODUCER) !== 0) found.producer = reader.producer();
  if ((hints & HEADERS) !== 0) found.headers = reader.list();
  if ((hints & RECORD_HEADERS) !== 0) {
    const recordHeaders = new Map<number, Headers>();
    forEachRecord(reader, count, (index) => {
      const list = reader.list();
      if (keeps) recordHeaders.set(index, list);
    });
    found.recordHeaders = recordHeaders;
  }
  if ((hints & PART) !== 0) found.atomic = reader.atomic();
  return found;
}

/** Has the list read of each record that has one. */
function forEachRecord(reader: HeaderReader, count: number, read: (index: number) => void): void {
  let index = -1;
  for (let left = reader.varint(); left > 0; left--) {
    const distance = reader.varint();
    index += distance;
    if (distance === 0 || index >= count) throw broken('it has headers of no record');
    read(index);
  }
}

/** What attributes say of `count` records from the one at `skip` on, which are no part of anything by themselves. */
export function sliceAttributes(
  { producer, headers, recordHeaders }: BatchAttributes,
  skip: number,
  count: number,
): BatchAttributes {
  const kept = [...(recordHeaders ?? [])]
    .map(([index, list]) => [index - skip, list] as const)
    .filter(([index]) => index >= 0 && index < count);
  return {
    ...(producer === undefined
      ? {}
      : { producer: { ...producer, sequence: producer.sequence + skip } }),
    ...(headers === undefined ? {} : { headers }),
    ...(kept.length === 0 ? {} : { recordHeaders: new Map(kept) }),
  };
}

/** Reads one part after the other; whatever is cut short is `CORRUPT`. */
class HeaderReader {
  private readonly bytes: Uint8Array;
  private readonly keeps: boolean;
  private at = 0;

  constructor(bytes: Uint8Array, keeps: boolean) {
    this.bytes = bytes;
    this.keeps = keeps;
  }

  producer(): Producer {
    const view = this.view(PRODUCER_BYTES);
    const uint64 = (offset: number): number => uint64At(view, offset);
    const producer = { id: uint64(0), epoch: view.getUint32(8, true), sequence: uint64(12) };
    const isExact = Number.isSafeInteger(producer.id) && Number.isSafeInteger(producer.sequence);
    if (!isExact) throw broken('a number of its producer is not below 2^53');
    return producer;
  }

  atomic(): AtomicAppend {
    const id = uint64At(this.view(ID_BYTES), 0);
    if (!Number.isSafeInteger(id)) throw broken('the id of its atomic append is not below 2^53');
    const logStreams: number[] = [];
    let last = 0;
    for (let left = this.varint(); left > 0; left--) {
      const distance = this.varint();
      last += distance;
      if (distance === 0 || last >= TWO_31) throw broken('it is a part of no log stream');
      logStreams.push(last);
    }
    if (logStreams.length < 2) throw broken('it is a part of one log stream alone');
    return { id, logStreams };
  }

  private view(length: number): DataView {
    const at = this.skip(length);
    return new DataView(this.bytes.buffer, this.bytes.byteOffset + at, length);
  }

  list(): Headers {
    const entries: [string, Uint8Array][] = [];
    const count = this.varint();
    if (count === 0) throw broken('it has a list of no headers');
    for (let left = count; left > 0; left--) {
      const nameAt = this.skip(this.varint());
      const nameEnd = this.at;
      const valueAt = this.skip(this.varint());
      if (!this.keeps) continue;
      const name = text.decode(this.bytes.subarray(nameAt, nameEnd));
      entries.push([name, this.bytes.subarray(valueAt, this.at)]);
    }
    return entries;
  }

  /** The first value of a list whose name is empty. */
  keyOfList(): Uint8Array | undefined {
    let key: Uint8Array | undefined;
    for (let left = this.varint(); left > 0; left--) {
      const nameBytes = this.varint();
      this.skip(nameBytes);
      const valueAt = this.skip(this.varint());
      if (nameBytes === 0) key ??= this.bytes.subarray(valueAt, this.at);
    }
    return key;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; factor < TWO_32; factor *= 128) {
      const byte = this.bytes[this.skip(1)]!;
      value += (byte & 127) * factor;
      if (byte < 128 && value < TWO_32) return value;
    }
    throw broken('a number in its header is too large');
  }

  /** Where the part of so many bytes begins that is skipped. */
  private skip(length: number): number {
    const begin = this.at;
    this.at += length;
    if (this.at > this.bytes.length) throw broken('its header ends too early');
    return begin;
  }
}

function encodeProducer({ id, epoch, sequence }: Producer): Uint8Array {
  const inRange = [id, epoch, sequence].every((it) => Number.isSafeInteger(it) && it >= 0);
  if (!inRange || epoch >= TWO_32) {
    throw invalid(`a producer cannot be ${id} in epoch ${epoch} at sequence ${sequence}`);
  }
  const bytes = new Uint8Array(PRODUCER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, id, true);
  view.setUint32(4, id / TWO_32, true);
  view.setUint32(8, epoch, true);
  view.setUint32(12, sequence, true);
  view.setUint32(16, sequence / TWO_32, true);
  return bytes;
}

function pushAtomic(parts: Uint8Array[], { id, logStreams }: AtomicAppend): void {
  const isAscending = logStreams.every((it, i) => it > (logStreams[i - 1] ?? 0) && it < TWO_31);
  const areWhole = [id, ...logStreams].every((it) => Number.isSafeInteger(it) && it >= 0);
  if (!areWhole || !isAscending || logStreams.length < 2) {
    throw invalid(`an atomic append cannot be ${id} of the log streams ${logStreams.join(', ')}`);
  }
  const bytes = new Uint8Array(ID_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, id, true);
  view.setUint32(4, id / TWO_32, true);
  parts.push(bytes, varint(logStreams.length));
  for (const [i, it] of logStreams.entries()) parts.push(varint(it - (logStreams[i - 1] ?? 0)));
}

function uint64At(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * TWO_32;
}

function pushList(parts: Uint8Array[], list: Headers): void {
  parts.push(varint(list.length));
  for (const [name, value] of list) {
    const nameBytes = utf8.encode(name);
    parts.push(varint(nameBytes.length), nameBytes, varint(value.length), value);
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function unknown(found: string): VarlogError {
  return formatUnknown({
    what: 'a batch',
    found,
    reads: 'version 1, with flag 0x1, and batches without a header',
  });
}

function broken(because: string): VarlogError {
  return new VarlogError('CORRUPT', {
    what: 'the header of a batch does not add up',
    because,
    next: 'build batches with encodeBatch',
  });
}

function invalid(what: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, outcome: 'notAppended' });
}
