import type { InPlaceEncoder } from '../base/index.ts';

/** Fields as protobuf writes them: the number, and whether a varint follows or a length with so many bytes. */
const varint = (field: number): number => field << 3;
const bytes = (field: number): number => (field << 3) | 2;

/** As `varlog.snpb.SubscribeResponse`. */
interface SubscribeResponse {
  readonly glsn: number;
  readonly llsn: number;
  readonly payload: Uint8Array;
}

const subscribeResponse: InPlaceEncoder<SubscribeResponse> = {
  size: ({ glsn, llsn, payload }) => sizeOf(glsn) + sizeOf(llsn) + sizeOfBytes(payload.length),
  write({ glsn, llsn, payload }, target, at) {
    let end = writeNumber(target, at, varint(1), glsn);
    end = writeNumber(target, end, varint(2), llsn);
    writeBytes(target, end, bytes(3), payload);
  },
};

/** As `varlog.snpb.SubscribeToResponse`. */
interface SubscribeToResponse {
  readonly logEntry: {
    readonly meta: {
      readonly topicId: number;
      readonly logStreamId: number;
      readonly glsn: number;
      readonly llsn: number;
    } | null;
    readonly data: Uint8Array;
  } | null;
}

const subscribeToResponse: InPlaceEncoder<SubscribeToResponse> = {
  size({ logEntry }) {
    if (logEntry === null) return 0;
    return sizeOfMessage(sizeOfEntry(logEntry));
  },
  write({ logEntry }, target, at) {
    if (logEntry === null) return;
    const { meta, data } = logEntry;
    let end = writeHead(target, at, bytes(1), sizeOfEntry(logEntry));
    if (meta !== null) {
      end = writeHead(target, end, bytes(1), sizeOfMeta(meta));
      end = writeNumber(target, end, varint(1), meta.topicId);
      end = writeNumber(target, end, varint(2), meta.logStreamId);
      end = writeNumber(target, end, varint(3), meta.glsn);
      end = writeNumber(target, end, varint(4), meta.llsn);
    }
    writeBytes(target, end, bytes(2), data);
  },
};

type Entry = NonNullable<SubscribeToResponse['logEntry']>;

function sizeOfEntry({ meta, data }: Entry): number {
  return (meta === null ? 0 : sizeOfMessage(sizeOfMeta(meta))) + sizeOfBytes(data.length);
}

function sizeOfMeta(meta: NonNullable<Entry['meta']>): number {
  const { topicId, logStreamId, glsn, llsn } = meta;
  return sizeOf(topicId) + sizeOf(logStreamId) + sizeOf(glsn) + sizeOf(llsn);
}

/** A field that is left out where it has its default: a number from 0. */
function sizeOf(value: number): number {
  return value === 0 ? 0 : 1 + lengthOf(value);
}

/** The same of bytes. */
function sizeOfBytes(length: number): number {
  return length === 0 ? 0 : sizeOfMessage(length);
}

/** A message stands there also where it is empty. */
function sizeOfMessage(length: number): number {
  return 1 + lengthOf(length) + length;
}

/** Bytes of a varint. */
function lengthOf(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
  return length;
}

function writeNumber(target: Uint8Array, at: number, key: number, value: number): number {
  return value === 0 ? at : writeHead(target, at, key, value);
}

function writeHead(target: Uint8Array, at: number, key: number, value: number): number {
  target[at] = key;
  let end = at + 1;
  let rest = value;
  for (; rest >= 2 ** 31; rest = Math.floor(rest / 128)) target[end++] = (rest % 128) | 128;
  for (; rest >= 128; rest >>>= 7) target[end++] = (rest & 127) | 128;
  target[end++] = rest;
  return end;
}

function writeBytes(target: Uint8Array, at: number, key: number, value: Uint8Array): void {
  if (value.length === 0) return;
  target.set(value, writeHead(target, at, key, value.length));
}

/**
 * Encoders by hand of the messages of which there is one for each record, by their full names. Numbers must not be
 * negative.
 */
export const IN_PLACE: Readonly<Record<string, InPlaceEncoder<never>>> = {
  'varlog.snpb.SubscribeResponse': subscribeResponse,
  'varlog.snpb.SubscribeToResponse': subscribeToResponse,
};
