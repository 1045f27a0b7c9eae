import { formatUnknown, VarlogError } from '../base/index.ts';
import { crc32c } from '../store/index.ts';
import { Snapshot as SnapshotMessage } from '../wire/gen/smr.ts';
import type { AdmissionState } from './admission.ts';
import { checkIdentity, type LogIdentity } from './log-identity.ts';
import { wholeFields } from './message-fields.ts';
import {
  FORMAT,
  FORMAT_TAG,
  PART,
  PART_CONTENT_MAX,
  PART_HEADER_BYTES,
  PART_TAG,
} from './snapshot-format.ts';

/** One message, read as a whole: checked by whoever stored it only. */
const WHOLE_FORMAT = 2;
/** The shortest part, with its tag and length. */
const PART_BYTES_MIN = 2 + PART_HEADER_BYTES;

/** A snapshot of which the head was read. */
export interface OpenedSnapshot {
  /** It stands for all entries up to here. */
  readonly position: number;
  /** Whether the machine handed its state over in pieces, or whole: then there is one piece. */
  readonly isInPieces: boolean;
  /** First, in pieces. Throws `CORRUPT`. */
  admission(): AsyncIterable<AdmissionState>;
  /** Then. Throws `CORRUPT`, at the latest in the place of its end: what ended is whole. */
  pieces(): AsyncIterable<Uint8Array>;
}

/**
 * Reads the head of a snapshot, and gives the rest to `use`. Rejects with `LOG_MISMATCH` where it is not a state of `own`,
 * with `FORMAT_UNKNOWN` where a later version wrote it, and with `CORRUPT`. `what` names the snapshot for the reader of the
 * error.
 */
export async function readSnapshot(
  chunks: AsyncIterable<Uint8Array>,
  own: LogIdentity,
  what: string,
  use: (snapshot: OpenedSnapshot) => Promise<void>,
): Promise<void> {
  const stream = new ChunkStream(chunks, what);
  try {
    await use(await openSnapshot(stream, own, what));
  } finally {
    await stream.close();
  }
}

/** Reads the head alone. Rejects like {@link readSnapshot}. */
export function checkSnapshot(
  chunks: AsyncIterable<Uint8Array>,
  own: LogIdentity,
  what: string,
): Promise<void> {
  return readSnapshot(chunks, own, what, async () => {});
}

async function openSnapshot(
  stream: ChunkStream,
  own: LogIdentity,
  what: string,
): Promise<OpenedSnapshot> {
  await stream.fill(2);
  const [tag, format] = stream.drop(2);
  if (tag === FORMAT_TAG && format === FORMAT) return openParts(stream, own, what);
  // A bit that flipped is no other format: whoever stored it may know.
  const rest = await stream.takeAll();
  if (tag !== FORMAT_TAG) throw damaged(what);
  if (format === WHOLE_FORMAT) return openWhole(rest, own, what);
  const reads = `formats ${WHOLE_FORMAT} and ${FORMAT}`;
  throw formatUnknown({ what, found: `format ${format}`, reads });
}

function openWhole(bytes: Uint8Array, own: LogIdentity, what: string): OpenedSnapshot {
  const snapshot = decoded(bytes, what);
  if (snapshot.log === '') throw damaged(what);
  checkIdentity(snapshot, own, what);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield snapshot.state;
  }
  async function* admission(): AsyncGenerator<AdmissionState> {
    yield snapshot;
  }
  return {
    position: snapshot.position,
    isInPieces: false,
    admission,
    pieces,
  };
}

async function openParts(
  stream: ChunkStream,
  own: LogIdentity,
  what: string,
): Promise<OpenedSnapshot> {
  const parts = new PartReader(stream, what);
  const first = await parts.next();
  if (first.kind !== PART.head) throw damaged(what);
  const head = decoded(first.content, what);
  checkIdentity(head, own, what);
  return {
    position: head.position,
    isInPieces: head.inPieces,
    admission: () => admissionOf(parts, what),
    pieces: () => piecesOf(parts, what),
  };
}

async function* admissionOf(parts: PartReader, what: string): AsyncGenerator<AdmissionState> {
  for await (const fields of wholeFields(parts.of(PART.admission))) yield decoded(fields, what);
}

async function* piecesOf(parts: PartReader, what: string): AsyncGenerator<Uint8Array> {
  let begin: Uint8Array[] = [];
  for (;;) {
    // Most are there already: a wait for each would cost more than to read it.
    const { kind, content } = parts.buffered() ?? (await parts.next());
    if (kind === PART.end && begin.length === 0) break;
    if (kind === PART.pieceBegin) begin.push(content);
    else if (kind !== PART.pieceEnd) throw damaged(what);
    else if (begin.length === 0) yield content;
    else {
      yield Buffer.concat([...begin, content]);
      begin = [];
    }
  }
  await parts.end();
}

function decoded(bytes: Uint8Array, what: string): SnapshotMessage {
  try {
    return SnapshotMessage.decode(bytes);
  } catch (cause) {
    throw damaged(what, cause);
  }
}

interface ReadPart {
  readonly kind: number;
  readonly content: Uint8Array;
}

/** The parts of a snapshot, one after the other. */
class PartReader {
  private readonly stream: ChunkStream;
  private readonly what: string;
  private checksum = 0;
  private ahead: ReadPart | undefined;
  /** So many bytes must be there for the next one. */
  private needed = PART_BYTES_MIN;

  constructor(stream: ChunkStream, what: string) {
    this.stream = stream;
    this.what = what;
  }

  async next(): Promise<ReadPart> {
    for (;;) {
      const part = this.buffered();
      if (part !== undefined) return part;
      await this.stream.fill(this.needed);
    }
  }

  /** The next one, where it is there already. */
  buffered(): ReadPart | undefined {
    const { ahead, stream, what } = this;
    this.ahead = undefined;
    if (ahead !== undefined) return ahead;
    const { bytes } = stream;
    this.needed = PART_BYTES_MIN;
    if (bytes.length < this.needed) return undefined;
    let length = 0;
    let at = 1;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number;
      length |= (byte & 127) << shift;
      if (byte < 128) break;
      if (shift === 14) throw damaged(what);
    }
    const size = length - PART_HEADER_BYTES;
    if (bytes[0] !== PART_TAG || size < 0 || size > PART_CONTENT_MAX) throw damaged(what);
    this.needed = at + length;
    if (bytes.length < this.needed) return undefined;
    const part = stream.drop(this.needed).subarray(at);
    this.checksum = crc32c(part, 4, part.length, this.checksum);
    const { buffer, byteOffset } = part;
    if (new DataView(buffer, byteOffset).getUint32(0, true) !== this.checksum) throw damaged(what);
    return { kind: part[4] as number, content: part.subarray(PART_HEADER_BYTES) };
  }

  /** The contents of all parts of a kind that come next. */
  async *of(kind: number): AsyncGenerator<Uint8Array> {
    for (;;) {
      const part = await this.next();
      if (part.kind !== kind) {
        this.ahead = part;
        return;
      }
      yield part.content;
    }
  }

  /** Nothing comes behind the last part. */
  async end(): Promise<void> {
    if ((await this.stream.takeAll()).length > 0) throw damaged(this.what);
  }
}

/** Bytes that come in chunks of any size, taken as they are needed. */
class ChunkStream {
  private readonly chunks: AsyncIterator<Uint8Array>;
  private readonly what: string;
  /** What has come, and was not dropped. */
  bytes: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>, what: string) {
    this.chunks = chunks[Symbol.asyncIterator]();
    this.what = what;
  }

  /** Resolves when so many bytes have come. Rejects with `CORRUPT` where there are fewer. */
  async fill(length: number): Promise<void> {
    const all = [this.bytes];
    for (let has = this.bytes.length; has < length; ) {
      const { done, value } = await this.chunks.next();
      if (done === true) throw damaged(this.what);
      all.push(value);
      has += value.length;
    }
    const filled = all.filter((it) => it.length > 0);
    this.bytes = filled.length === 1 ? (filled[0] as Uint8Array) : Buffer.concat(filled);
  }

  /** Gives back so many, and forgets them. */
  drop(length: number): Uint8Array {
    const { bytes } = this;
    this.bytes = bytes.subarray(length);
    return bytes.subarray(0, length);
  }

  async takeAll(): Promise<Uint8Array> {
    const rest = [this.bytes];
    this.bytes = new Uint8Array();
    for (;;) {
      const { done, value } = await this.chunks.next();
      if (done === true) return Buffer.concat(rest);
      rest.push(value);
    }
  }

  /** Nothing more is read. */
  async close(): Promise<void> {
    await this.chunks.return?.();
  }
}

function damaged(what: string, cause?: unknown): VarlogError {
  return new VarlogError('CORRUPT', {
    what: `${what} is damaged, or not whole`,
    because: 'what was read is not what was written',
    next: 'restore it from another replica, or remove it where the log still has its head',
    cause,
  });
}
