import { Buffer } from 'node:buffer';
import { sizeOfField, sizeOfVarint, writeVarint } from './varint.ts';
import type { Version } from './version.ts';

/*
 * Message `Version` (stored.proto), written without making an object. What is zero is left out, as a value is that was
 * deleted.
 */
const KEY = 0x0a;
const VALUE = 0x12;
const REVISION = 0x18;
const CREATE_REVISION = 0x20;
const VERSION = 0x28;
const LEASE = 0x30;

/** Versions as fields of a message, one behind the other. `tag`: of the field. */
export function bytesOfVersions(versions: readonly Version[], tag: number): Uint8Array {
  const sizes = versions.map(sizeOf);
  let total = 0;
  for (const size of sizes) total += sizeOfField(size);
  const bytes = Buffer.allocUnsafeSlow(total);
  let at = 0;
  versions.forEach((version, i) => {
    bytes[at] = tag;
    at = writeVersion(bytes, writeVarint(bytes, at + 1, sizes[i]!), version);
  });
  return bytes;
}

function sizeOf({ key, value, revision, createRevision, version, lease }: Version): number {
  return (
    sizeOfField(key.length) +
    (value === undefined ? 0 : sizeOfField(value.length)) +
    sizeOfNumber(revision) +
    sizeOfNumber(createRevision) +
    sizeOfNumber(version) +
    sizeOfNumber(lease)
  );
}

/** Returns where it ends, as all that write do. */
function writeVersion(bytes: Uint8Array, start: number, version: Version): number {
  const { key, value } = version;
  bytes[start] = KEY;
  let at = writeVarint(bytes, start + 1, key.length);
  for (let i = 0; i < key.length; i++) bytes[at++] = key.charCodeAt(i);
  if (value !== undefined) {
    bytes[at] = VALUE;
    at = writeVarint(bytes, at + 1, value.length);
    bytes.set(value, at);
    at += value.length;
  }
  at = writeNumber(bytes, at, REVISION, version.revision);
  at = writeNumber(bytes, at, CREATE_REVISION, version.createRevision);
  at = writeNumber(bytes, at, VERSION, version.version);
  return writeNumber(bytes, at, LEASE, version.lease);
}

function sizeOfNumber(value: number): number {
  return value === 0 ? 0 : 1 + sizeOfVarint(value);
}

function writeNumber(bytes: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  bytes[at] = tag;
  return writeVarint(bytes, at + 1, value);
}
