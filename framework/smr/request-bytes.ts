import type { CommandOutcome } from './command-outcome.ts';

/** A request that was decided. */
export interface DecidedRequest {
  /** UTF-8. */
  readonly id: Uint8Array;
  /** Of the command that it came with: length and CRC32C. */
  readonly length: number;
  readonly checksum: number;
  readonly position: number;
  /** The log's time there. */
  readonly time: number;
  readonly outcome: CommandOutcome;
}

/*
 * What a snapshot has of a request: a field `requests` of `Snapshot` in smr.proto, written without making an object. What
 * is zero or empty is left out.
 */
const REQUESTS = 0x42;
const ID = 0x0a;
const LENGTH = 0x10;
const CHECKSUM = 0x18;
const POSITION = 0x20;
const TIME = 0x29;
const RESULT = 0x32;
const REFUSAL = 0x3a;

const scratch = new Uint8Array(8);
const scratchView = new DataView(scratch.buffer);
const encoder = new TextEncoder();

/** Bytes of the message, without its tag and length. */
export function requestBytes(request: DecidedRequest): number {
  const { id, length, checksum, position, time, outcome } = request;
  return (
    fieldBytes(id.length) +
    numberBytes(length) +
    numberBytes(checksum) +
    numberBytes(position) +
    (time === 0 ? 0 : 9) +
    // The names of refusals are ASCII: a byte for each character.
    (outcome.length === 0 ? 0 : fieldBytes(outcome.length))
  );
}

/** Bytes of a field that has `length` bytes itself. */
export function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

/** Writes the field; `length`: of the message, see {@link requestBytes}. Returns where the message begins. */
export function writeRequest(
  bytes: Uint8Array,
  start: number,
  request: DecidedRequest,
  length: number,
): number {
  bytes[start] = REQUESTS;
  const message = writeVarint(bytes, start + 1, length);
  let at = writeField(bytes, message, ID, request.id);
  at = writeNumber(bytes, at, LENGTH, request.length);
  at = writeNumber(bytes, at, CHECKSUM, request.checksum);
  at = writeNumber(bytes, at, POSITION, request.position);
  if (request.time !== 0) {
    bytes[at] = TIME;
    scratchView.setFloat64(0, request.time, true);
    bytes.set(scratch, at + 1);
    at += 9;
  }
  const { outcome } = request;
  if (typeof outcome === 'string') writeField(bytes, at, REFUSAL, encoder.encode(outcome));
  else if (outcome.length > 0) writeField(bytes, at, RESULT, outcome);
  return message;
}

/** Whether a message that was written here, and begins at `message`, has this id: its first field. */
export function hasRequestId(bytes: Uint8Array, message: number, id: Uint8Array): boolean {
  const { length } = id;
  let at = message + 1;
  for (let rest = length; ; rest >>>= 7) {
    if (bytes[at++] !== (rest >= 128 ? (rest & 127) | 128 : rest)) return false;
    if (rest < 128) break;
  }
  for (let i = 0; i < length; i++) if (bytes[at + i] !== id[i]) return false;
  return true;
}

function writeField(bytes: Uint8Array, at: number, tag: number, field: Uint8Array): number {
  bytes[at] = tag;
  const start = writeVarint(bytes, at + 1, field.length);
  bytes.set(field, start);
  return start + field.length;
}

function numberBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value);
}

function writeNumber(bytes: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  bytes[at] = tag;
  return writeVarint(bytes, at + 1, value);
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** Returns where it ends. */
function writeVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) | 128;
  bytes[at++] = rest;
  return at;
}
