import { type Clock, TurnBudget } from '../base/index.ts';
import { crc32c } from '../store/index.ts';
import { Snapshot as SnapshotMessage } from '../wire/gen/smr.ts';
import type { EncodedAdmission } from './admission.ts';
import type { LogIdentity } from './log-identity.ts';

/*
 * A snapshot is a message `Snapshot` of smr.proto: field `format`, and then its content in fields `parts`, so that it can
 * be written and read piece by piece, and versions that do not know parts see that the format is another one. Each part is
 *
 *     checksum (uint32, little endian), kind (uint8), content
 *
 * and its checksum, a CRC-32C, is also over all parts before: what is damaged, missing, cut off, or stands elsewhere than
 * it should is found with the first part that it concerns, before its content is used.
 */
export const FORMAT = 3;
/** As they lie in the message. */
export const FORMAT_TAG = 0x08;
export const PART_TAG = 0x62;
/** Of a part, before its content. */
export const PART_HEADER_BYTES = 5;
export const PART_CONTENT_MAX = 64 * 1024;
/** Tag and length of a part. */
const FRAMING_MAX = 4;

/** What is in a part. */
export const PART = {
  /** Whose state it is and how far it is: fields of `Snapshot`. The first part. */
  head: 1,
  /** What decides on commands, more fields of `Snapshot`: the contents of all such parts, one after the other. */
  admission: 2,
  /** The machine's state: bytes of a piece that goes on in the next part, and those that end it. */
  pieceBegin: 3,
  pieceEnd: 4,
  /** Nothing: the snapshot is whole. */
  end: 5,
} as const;

type PartKind = (typeof PART)[keyof typeof PART];

/** A state as of one moment: nothing that comes later changes what it gives. */
export interface CapturedState {
  /** It stands for all entries up to here. */
  readonly position: number;
  readonly admission: EncodedAdmission;
  /** The machine's, encoded as they are read. */
  readonly pieces: Iterable<Uint8Array>;
  /** Whether the machine handed its state over in pieces, or whole. */
  readonly isInPieces: boolean;
}

/** Bytes in a chunk, and how many of them are made in a turn: with as many parts, this takes a fraction of a millisecond. */
const CHUNK_BYTES = 128 * 1024;
const COST_PER_TURN = 256;
const BYTES_PER_COST = 1_024;

/**
 * The bytes of a snapshot, made as they are read, in turns, so that commands are applied in between. `ended`: throws
 * where nobody wants it any more.
 */
export async function* encodeSnapshot(
  identity: LogIdentity,
  state: CapturedState,
  clock: Pick<Clock, 'defer'>,
  ended: () => void,
): AsyncGenerator<Uint8Array> {
  const turns = new TurnBudget(clock, COST_PER_TURN);
  const writer = new PartWriter();
  for (const [kind, content] of partsOf(identity, state)) {
    const full = writer.add(kind, content);
    if (full !== undefined) yield full;
    const turn = turns.take(1 + content.length / BYTES_PER_COST);
    if (turn === undefined) continue;
    await turn;
    ended();
  }
  yield writer.take();
}

type Part = readonly [kind: PartKind, content: Uint8Array];

function* partsOf(identity: LogIdentity, state: CapturedState): Generator<Part> {
  const { position, isInPieces, admission, pieces } = state;
  const head = SnapshotMessage.create({ ...identity, position, inPieces: isInPieces });
  yield [PART.head, SnapshotMessage.encode(head)];
  for (const content of contentsOf(admission))
    for (const part of split(content)) yield [PART.admission, part];
  for (const piece of pieces) {
    const parts = [...split(piece)];
    const last = parts.pop() as Uint8Array;
    for (const part of parts) yield [PART.pieceBegin, part];
    yield [PART.pieceEnd, last];
  }
  yield [PART.end, new Uint8Array()];
}

function* contentsOf({
  sessions,
  requests,
  timers,
  ...rest
}: EncodedAdmission): Generator<Uint8Array> {
  const { skipped, skippedTimers } = rest;
  const skips = { skipped: [...skipped], skippedTimers: [...skippedTimers] };
  yield SnapshotMessage.encode(SnapshotMessage.create({ ...rest, ...skips }));
  for (const timer of timers)
    yield SnapshotMessage.encode(SnapshotMessage.create({ timers: [timer] }));
  for (const session of sessions)
    yield SnapshotMessage.encode(SnapshotMessage.create({ sessions: [session] }));
  yield* requests;
}

/** In as many as a part can take, at least one. */
function* split(content: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at === 0 || at < content.length; at += PART_CONTENT_MAX)
    yield content.subarray(at, at + PART_CONTENT_MAX);
}

/** Gathers parts in chunks. */
class PartWriter {
  private chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  private length = this.chunk.writeUInt16BE((FORMAT_TAG << 8) | FORMAT);
  private checksum = 0;

  /** Gives back the chunk before, where the part began another one. */
  add(kind: PartKind, content: Uint8Array): Uint8Array | undefined {
    const size = PART_HEADER_BYTES + content.length;
    const isFull = this.length + FRAMING_MAX + size > CHUNK_BYTES;
    const full = isFull ? this.take() : undefined;
    if (isFull) this.chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const { chunk } = this;
    chunk[this.length++] = PART_TAG;
    let rest = size;
    for (; rest >= 128; rest >>>= 7) chunk[this.length++] = (rest & 127) | 128;
    chunk[this.length++] = rest;
    const begin = this.length;
    chunk[begin + 4] = kind;
    chunk.set(content, begin + PART_HEADER_BYTES);
    this.length = begin + size;
    this.checksum = crc32c(chunk, begin + 4, this.length, this.checksum);
    chunk.writeUInt32LE(this.checksum, begin);
    return full;
  }

  /** What was not given back yet. */
  take(): Uint8Array {
    const { length } = this;
    this.length = 0;
    return this.chunk.subarray(0, length);
  }
}
