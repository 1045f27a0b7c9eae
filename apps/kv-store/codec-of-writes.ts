import type protobuf from 'protobufjs/light.js';
import type { Condition, Revisions } from './condition.ts';
import { bytesOfKey, keyOfBytes } from './key.ts';
import type { KvWrite } from './machine.ts';
import { copyOfValue } from './value-memory.ts';

interface RevisionsMessage {
  any: boolean;
  of: (number | protobuf.Long)[];
}

/** Message `Write` (stored.proto), as it is decoded: what was written of it is its own, also where it is a default. */
export interface WriteMessage {
  key: Uint8Array;
  put: Uint8Array;
  ifMatch: RevisionsMessage | null;
  ifNoneMatch: RevisionsMessage | null;
}

export function encodeWrite(write: KvWrite): object {
  const { condition = {} } = write;
  return {
    key: bytesOfKey(write.key),
    ...(write.op === 'put' ? { put: write.value } : { delete: true }),
    ...(condition.ifMatch && { ifMatch: revisionsMessage(condition.ifMatch) }),
    ...(condition.ifNoneMatch && { ifNoneMatch: revisionsMessage(condition.ifNoneMatch) }),
  };
}

export function decodeWrite(message: WriteMessage): KvWrite {
  const key = keyOfBytes(message.key);
  const write: KvWrite = Object.hasOwn(message, 'put')
    ? { op: 'put', key, value: copyOfValue(message.put) }
    : { op: 'delete', key };
  const condition = conditionOf(message);
  if (condition !== undefined) write.condition = condition;
  return write;
}

function conditionOf({ ifMatch, ifNoneMatch }: WriteMessage): Condition | undefined {
  if (ifMatch === null && ifNoneMatch === null) return undefined;
  return {
    ...(ifMatch !== null && { ifMatch: revisionsOf(ifMatch) }),
    ...(ifNoneMatch !== null && { ifNoneMatch: revisionsOf(ifNoneMatch) }),
  };
}

function revisionsOf({ any, of }: RevisionsMessage): Revisions {
  return any ? 'any' : of.map(Number);
}

function revisionsMessage(revisions: Revisions): RevisionsMessage {
  return revisions === 'any' ? { any: true, of: [] } : { any: false, of: [...revisions] };
}
