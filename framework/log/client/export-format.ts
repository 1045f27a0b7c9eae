import {
  type Batch,
  checkBatch,
  formatUnknown,
  LARGEST_BATCH_BYTES,
  sha256,
  VarlogError,
} from '../../base/index.ts';
import { crc32c, getUint64, setUint64, viewOf } from '../../store/index.ts';
import { ByteReader } from './byte-reader.ts';

/**
 * The file of an exported topic, as docs/formats.md describes it: a header, a frame for each batch in the order of the
 * topic, and a frame that ends it with the sum of all. Without that one, or with anything wrong before it, it is
 * no whole export.
 */
const MAGIC = 0x58_4c_52_56;
const VERSION = 1;
const FIXED_BYTES = 40;
const IDENTITY_BYTES_MAX = 4_096;
const FRAME_BYTES = 40;
const KIND = { batch: 1, end: 2 } as const;
const END_BYTES = 40;

/** Which records are in an export. */
export interface ExportHeader {
  /** Which topic they are of, of all that were ever made: see {@link Topic.identity}. */
  readonly identity: string;
  readonly topicId: number;
  /** GLSN of the first record, or of the next one where there is none. */
  readonly first: number;
}

/** A batch at its place. */
export interface ExportedBatch extends Batch {
  /** GLSN of its first record. */
  readonly glsn: number;
  /** When it was appended, in milliseconds since 1970; 0: not known. */
  readonly timestamp: number;
  readonly logStream: number;
}

/** How far a file goes that is intact up to there. */
export interface ExportProgress {
  readonly header: ExportHeader;
  /** GLSN of the last record; `first - 1` where there is none. */
  readonly last: number;
  readonly chain: Uint8Array;
  /** Bytes of the file up to there. */
  readonly bytes: number;
}

/** A whole export: what is in it. */
export interface ExportSummary extends ExportHeader {
  /** GLSN of the last record; `first - 1` where there is none. */
  readonly last: number;
  readonly records: number;
  /** Sum of all batches in their order, in hex: equal for equal records at equal positions. */
  readonly hash: string;
}

/** Before the first batch. */
export function beginOfExport(header: ExportHeader): { bytes: Uint8Array; at: ExportProgress } {
  const identity = new TextEncoder().encode(header.identity);
  const bytes = new Uint8Array(FIXED_BYTES + identity.length);
  const view = viewOf(bytes);
  view.setUint32(4, MAGIC, true);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, bytes.length, true);
  setUint64(view, 16, header.first);
  view.setUint32(24, header.topicId, true);
  view.setUint32(28, identity.length, true);
  bytes.set(identity, FIXED_BYTES);
  view.setUint32(0, crc32c(bytes, 4), true);
  return { bytes, at: started(header, bytes.length) };
}

function started(header: ExportHeader, bytes: number): ExportProgress {
  return { header, last: header.first - 1, chain: new Uint8Array(32), bytes };
}

/** The frame of the batch that comes next, and how far that goes. */
export function exportBatch(
  at: ExportProgress,
  batch: ExportedBatch,
): { bytes: readonly Uint8Array[]; at: ExportProgress } {
  const head = frameHead(KIND.batch, batch, batch.bytes);
  return { bytes: [head, batch.bytes], at: behind(at, batch) };
}

/** What makes an export a whole one. */
export function endOfExport(at: ExportProgress): Uint8Array {
  const payload = new Uint8Array(END_BYTES);
  setUint64(viewOf(payload), 0, at.last + 1 - at.header.first);
  payload.set(at.chain, 8);
  const place = { count: 0, glsn: at.last + 1, timestamp: 0, logStream: 0 };
  const head = frameHead(KIND.end, place, payload);
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  bytes.set(payload, head.length);
  return bytes;
}

export function summaryOf({ header, last, chain }: ExportProgress): ExportSummary {
  const hash = [...chain].map((it) => it.toString(16).padStart(2, '0')).join('');
  return { ...header, last, records: last + 1 - header.first, hash };
}

function behind(at: ExportProgress, batch: ExportedBatch): ExportProgress {
  const place = new Uint8Array(12);
  const view = viewOf(place);
  setUint64(view, 0, batch.glsn);
  view.setUint32(8, batch.count, true);
  return {
    header: at.header,
    last: batch.glsn + batch.count - 1,
    chain: sha256(at.chain, place, batch.bytes),
    bytes: at.bytes + FRAME_BYTES + batch.bytes.length,
  };
}

function frameHead(
  kind: number,
  place: Omit<ExportedBatch, 'bytes'>,
  payload: Uint8Array,
): Uint8Array {
  const head = new Uint8Array(FRAME_BYTES);
  const view = viewOf(head);
  head[4] = kind;
  view.setUint16(6, FRAME_BYTES, true);
  view.setUint32(8, place.count, true);
  view.setUint32(12, payload.length, true);
  setUint64(view, 16, place.glsn);
  setUint64(view, 24, place.timestamp);
  view.setUint32(32, place.logStream, true);
  view.setUint32(0, crc32c(payload, 0, payload.length, crc32c(head, 4)), true);
  return head;
}

/** What a file is found to hold, one after the other. */
export type ExportPart =
  | { readonly kind: 'header'; readonly at: ExportProgress }
  | { readonly kind: 'batch'; readonly at: ExportProgress; readonly batch: ExportedBatch }
  | { readonly kind: 'end'; readonly summary: ExportSummary };

/**
 * Goes through an export, checking everything, with one frame in memory; the last part is the end. Throws `CORRUPT` with
 * the byte and the position where it is damaged, cut off, or none at all, and `FORMAT_UNKNOWN` where a later version
 * wrote it.
 */
export async function* readExport(source: AsyncIterable<Uint8Array>): AsyncGenerator<ExportPart> {
  const reader = new ByteReader(source);
  try {
    let at = await readHeader(reader);
    yield { kind: 'header', at };
    for (;;) {
      const { kind, batch } = await readFrame(reader, at);
      if (kind === KIND.end) {
        checkEnd(batch, at);
        if (!(await reader.isThrough())) {
          throw broken(at.bytes + FRAME_BYTES + END_BYTES, at.last + 1, 'goes on after its end');
        }
        yield { kind: 'end', summary: summaryOf(at) };
        return;
      }
      at = behind(at, batch);
      yield { kind: 'batch', at, batch };
    }
  } finally {
    await reader.close();
  }
}

async function readHeader(reader: ByteReader): Promise<ExportProgress> {
  const fixed = await reader.take(FIXED_BYTES);
  if (fixed === undefined || viewOf(fixed).getUint32(4, true) !== MAGIC) {
    throw broken(0, undefined, 'does not begin as one');
  }
  const view = viewOf(fixed);
  const [version, length, identityBytes] = [8, 12, 28].map((it) => view.getUint32(it, true));
  if (length! < FIXED_BYTES || length! > FIXED_BYTES + IDENTITY_BYTES_MAX) {
    throw broken(0, undefined, 'has a damaged header');
  }
  const rest = await reader.take(length! - FIXED_BYTES);
  if (rest === undefined) throw broken(0, undefined, 'is cut off in its header');
  const sum = crc32c(rest, 0, rest.length, crc32c(fixed, 4));
  if (sum !== view.getUint32(0, true)) throw broken(0, undefined, 'has a damaged header');
  if (version !== VERSION) {
    const what = 'the export of a topic';
    throw formatUnknown({ what, found: `version ${version}`, reads: `version ${VERSION}` });
  }
  if (identityBytes! > rest.length) throw broken(0, undefined, 'has a damaged header');
  const identity = new TextDecoder().decode(rest.subarray(0, identityBytes));
  const header = { identity, topicId: view.getUint32(24, true), first: getUint64(view, 16) };
  if (!Number.isSafeInteger(header.first) || header.first < 1) {
    throw broken(0, undefined, 'has a damaged header');
  }
  return started(header, length!);
}

async function readFrame(
  reader: ByteReader,
  at: ExportProgress,
): Promise<{ kind: number; batch: ExportedBatch }> {
  const damaged = (how: string): VarlogError => broken(at.bytes, at.last + 1, how);
  const head = await reader.take(FRAME_BYTES);
  if (head === undefined) throw damaged('is cut off');
  const view = viewOf(head);
  const [kind, flags] = [head[4]!, head[5]!];
  const length = view.getUint32(12, true);
  if (length > LARGEST_BATCH_BYTES) throw damaged('is damaged');
  const bytes = await reader.take(length);
  if (bytes === undefined) throw damaged('is cut off');
  const sum = crc32c(bytes, 0, bytes.length, crc32c(head, 4));
  if (sum !== view.getUint32(0, true)) throw damaged('is damaged');
  const isKnown = kind === KIND.batch || kind === KIND.end;
  if (!isKnown || flags !== 0 || view.getUint16(6, true) !== FRAME_BYTES) {
    const what = `the frame at byte ${at.bytes} of the export`;
    const found = `kind ${kind}, flags ${flags}`;
    throw formatUnknown({ what, found, reads: 'kinds 1 and 2 without flags' });
  }
  const batch = {
    count: view.getUint32(8, true),
    glsn: getUint64(view, 16),
    timestamp: getUint64(view, 24),
    logStream: view.getUint32(32, true),
    bytes,
  };
  if (batch.glsn !== at.last + 1) throw damaged(`has record ${batch.glsn} there`);
  if (kind === KIND.batch) {
    if (batch.count < 1) throw damaged('is damaged');
    checkBatch(batch);
  }
  return { kind, batch };
}

function checkEnd({ bytes }: ExportedBatch, at: ExportProgress): void {
  const { chain, header, last } = at;
  const isRight =
    bytes.length === END_BYTES &&
    getUint64(viewOf(bytes), 0) === last + 1 - header.first &&
    chain.every((it, i) => bytes[8 + i] === it);
  if (!isRight) throw broken(at.bytes, last + 1, 'does not hold the records that it ends with');
}

function broken(offset: number, position: number | undefined, how: string): VarlogError {
  const where = position === undefined ? '' : `, where record ${position} should be`;
  return new VarlogError('CORRUPT', {
    what: `the export of a topic ${how}: at byte ${offset}${where}`,
    next: 'export the topic again, or take another copy of the file: nothing was made of this one',
    details: position === undefined ? { offset } : { offset, position },
  });
}
