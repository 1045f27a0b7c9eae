import {
  type Batch,
  checkBatch,
  decodeBatch,
  type Glsn,
  type Llsn,
  type LogStreamId,
  sliceBatch,
  startOf,
  type TopicId,
} from '../../base/index.ts';
import { type ResumeToken, resumeToken } from './resume-token.ts';

/** A byte order mark is a part of the text. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const BYTE_ORDER_MARK = /^\uFEFF/;

/** A record at its place in the topic. */
export class Entry {
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

  /** Made by {@link EntryBatch.entries}: the payload is `framed` from `start` to before `end`. */
  constructor(
    place: Place,
    index: number,
    payload: { framed: Uint8Array; start: number; end: number },
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

  /** The record as JSON; throws a `SyntaxError` when it is none. `T` is what the caller takes it for: it is not checked. */
  json<T>(): T {
    return JSON.parse(this.text().replace(BYTE_ORDER_MARK, '')) as T;
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

  /** The records. Throws `CORRUPT` when the framing does not add up. */
  entries(): Entry[] {
    checkBatch(this);
    const { bytes: framed, count } = this;
    const view = new DataView(framed.buffer, framed.byteOffset, framed.byteLength);
    const entries = new Array<Entry>(count);
    let start = startOf(this) + 4;
    for (let i = 0; i < count; i++) {
      const end = start + view.getUint32(start - 4, true);
      entries[i] = new Entry(this, i, { framed, start, end });
      start = end + 4;
    }
    return entries;
  }
}
