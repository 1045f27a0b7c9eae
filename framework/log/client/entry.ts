import {
  attributesOf,
  type Batch,
  checkBatch,
  decodeBatch,
  type Glsn,
  type Headers,
  type Llsn,
  type LogStreamId,
  sliceBatch,
  startOf,
  type TopicId,
  type VarlogError,
} from '../../base/index.ts';
import { decodeAttributes, type RecordHeaders } from './record-headers.ts';
import { type ResumeToken, resumeToken } from './resume-token.ts';

/** A byte order mark is a part of the text. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const BYTE_ORDER_MARK = /^\uFEFF/;

/** What became of a record's bytes. */
export type Decoded<T> = { readonly value: T } | { readonly error: VarlogError };

/** Makes values of records, where their bytes are not the values. */
export type Decode<T> = (entry: Entry<unknown>) => Decoded<T>;

/** A record at its place in the topic. `T` is what the topic's codec makes of it: its bytes where it has none. */
export class Entry<T = Uint8Array> {
  readonly topic: TopicId;
  /** Position in the topic. */
  readonly glsn: Glsn;
  /** Position in its log stream. */
  readonly llsn: Llsn;
  readonly logStream: LogStreamId;
  /**
   * When the primary of the log stream took it, in milliseconds since 1970 by that node's clock; never earlier than
   * that of the record before in the log stream. 0 where it is not known: older versions did not note it.
   */
  readonly timestamp: number;
  private readonly cluster: string;
  private readonly framed: Uint8Array;
  private readonly start: number;
  private readonly end: number;
  private readonly attributes: Headers | undefined;
  private readonly decoded: Decoded<T> | undefined;

  /** Made by {@link EntryBatch.entries}: the payload is `framed` from `start` to before `end`. */
  constructor(
    place: Place,
    index: number,
    payload: { framed: Uint8Array; start: number; end: number; attributes: Headers | undefined },
    decode: Decode<T> | undefined,
  ) {
    this.topic = place.topic;
    this.glsn = (place.glsn + index) as Glsn;
    this.llsn = (place.llsn + index) as Llsn;
    this.logStream = place.logStream;
    this.timestamp = place.timestamp;
    this.cluster = place.cluster;
    this.framed = payload.framed;
    this.start = payload.start;
    this.end = payload.end;
    this.attributes = payload.attributes;
    this.decoded = decode?.(this);
  }

  /**
   * What the topic's codec makes of the record; its `bytes` where the topic has no codec. Throws {@link decodeError}
   * where there is one.
   */
  get value(): T {
    const { decoded } = this;
    if (decoded === undefined) return this.bytes as T;
    if ('error' in decoded) throw decoded.error;
    return decoded.value;
  }

  /** `DECODE_FAILED`, where the codec did not take the record and the topic was told to let such records pass. */
  get decodeError(): VarlogError | undefined {
    const { decoded } = this;
    return decoded !== undefined && 'error' in decoded ? decoded.error : undefined;
  }

  /** What it was appended with beside its payload; none where nothing was given. */
  get headers(): RecordHeaders {
    return decodeAttributes(this.attributes).headers;
  }

  /** The key that it was appended with, as UTF-8 text. */
  get key(): string | undefined {
    const { keyBytes } = this;
    return keyBytes === undefined ? undefined : utf8.decode(keyBytes);
  }

  /** The key as bytes: a view, as `bytes` is. */
  get keyBytes(): Uint8Array | undefined {
    return decodeAttributes(this.attributes).key;
  }

  /**
   * What was appended. A view of the message that brought it, made when it is asked for: `slice()` it to keep it
   * for long.
   */
  get bytes(): Uint8Array {
    return this.framed.subarray(this.start, this.end);
  }

  /** To be kept once the record was dealt with: `topic.tail({ from: token })` goes on after it. */
  get resumeToken(): ResumeToken {
    return resumeToken(this.cluster, this.topic, this.glsn);
  }

  /** Number of bytes. */
  get size(): number {
    return this.end - this.start;
  }

  /** The record as UTF-8 text. */
  text(): string {
    return utf8.decode(this.bytes);
  }

  /** The record as JSON; throws a `SyntaxError` when it is none. `J` is what the caller takes it for: it is not checked. */
  json<J>(): J {
    return JSON.parse(this.text().replace(BYTE_ORDER_MARK, '')) as J;
  }
}

interface Place {
  readonly cluster: string;
  readonly topic: TopicId;
  readonly logStream: LogStreamId;
  readonly glsn: Glsn;
  readonly llsn: Llsn;
  readonly timestamp: number;
}

/** Records side by side in one log stream, as they were appended. */
export class EntryBatch {
  /** Identity of the cluster. */
  readonly cluster: string;
  readonly topic: TopicId;
  readonly logStream: LogStreamId;
  /** Position of the first record in the topic. */
  readonly glsn: Glsn;
  /** Position of the first record in its log stream. */
  readonly llsn: Llsn;
  /** As {@link Entry.timestamp}: of all records of the batch. */
  readonly timestamp: number;
  /** Number of records, at least 1. */
  readonly count: number;
  /** The records, framed as by `encodeBatch`. */
  readonly bytes: Uint8Array;

  constructor(place: Place, { count, bytes }: Batch) {
    this.cluster = place.cluster;
    this.topic = place.topic;
    this.logStream = place.logStream;
    this.glsn = place.glsn;
    this.llsn = place.llsn;
    this.timestamp = place.timestamp;
    this.count = count;
    this.bytes = bytes;
  }

  /** What of a batch lies in the wanted range of GLSNs; some of it must. */
  static cut(place: Place, batch: Batch, wanted: { from: number; to: number }): EntryBatch {
    const skip = Math.max(0, wanted.from - place.glsn);
    const drop = Math.max(0, place.glsn + batch.count - 1 - wanted.to);
    if (skip === 0 && drop === 0) return new EntryBatch(place, batch);
    const shifted = {
      ...place,
      glsn: (place.glsn + skip) as Glsn,
      llsn: (place.llsn + skip) as Llsn,
    };
    return new EntryBatch(shifted, sliceBatch(batch, skip, batch.count - skip - drop));
  }

  /** Resume token of the last record: see {@link Entry.resumeToken}. */
  get resumeToken(): ResumeToken {
    return resumeToken(this.cluster, this.topic, this.lastGlsn);
  }

  /** GLSN of the last record. */
  get lastGlsn(): Glsn {
    return (this.glsn + this.count - 1) as Glsn;
  }

  /** The payloads alone, as views. Throws `CORRUPT` when the framing does not add up. */
  records(): Uint8Array[] {
    return decodeBatch(this);
  }

  /** The records, as bytes. Throws `CORRUPT` when the framing does not add up. */
  entries(): Entry[];
  /** The records, as what `decode` makes of them. */
  entries<T>(decode: Decode<T> | undefined): Entry<T>[];
  entries<T>(decode?: Decode<T>): Entry<T>[] {
    checkBatch(this);
    const { bytes: framed, count } = this;
    const view = new DataView(framed.buffer, framed.byteOffset, framed.byteLength);
    const entries = new Array<Entry<T>>(count);
    const first = startOf(this);
    const recordHeaders = first === 0 ? undefined : attributesOf(this).recordHeaders;
    let start = first + 4;
    for (let i = 0; i < count; i++) {
      const end = start + view.getUint32(start - 4, true);
      const attributes = recordHeaders?.get(i);
      entries[i] = new Entry<T>(this, i, { framed, start, end, attributes }, decode);
      start = end + 4;
    }
    return entries;
  }
}
