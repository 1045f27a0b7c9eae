import type protobuf from 'protobufjs/light.js';
import type { ReplicaCodecs } from 'varlog/smr';
import type { Condition, Revisions } from './condition.ts';
import type { KvCommand, KvResult, KvSnapshot } from './machine.ts';
import { messages } from './proto.ts';

const Command = messages.lookupType('kv.stored.Command');
const Snapshot = messages.lookupType('kv.stored.Snapshot');

interface RevisionsMessage {
  any: boolean;
  of: (number | protobuf.Long)[];
}

interface CommandMessage {
  key: string;
  effect?: 'put' | 'delete';
  put: Uint8Array;
  ifMatch: RevisionsMessage | null;
  ifNoneMatch: RevisionsMessage | null;
}

const DONE = 1;
const EXISTED = 2;
/** Holds one result at a time. Callers get a small copy, not a part of a large buffer that would stay in memory with it. */
const scratch = new Uint8Array(9);
const view = new DataView(scratch.buffer);

/**
 * How the store's commands and snapshots become bytes (stored.proto). A result, of which one is kept for each request, is
 * `flags (uint8) | revision (float64, little endian)`.
 */
export const kvCodecs: ReplicaCodecs<KvCommand, KvResult, KvSnapshot> = {
  command: {
    encode: (command) => {
      const { key, condition = {} } = command;
      const message = {
        key,
        ...(command.op === 'put' ? { put: command.value } : { delete: true }),
        ...(condition.ifMatch && { ifMatch: revisionsMessage(condition.ifMatch) }),
        ...(condition.ifNoneMatch && { ifNoneMatch: revisionsMessage(condition.ifNoneMatch) }),
      };
      return Command.encode(message as unknown as protobuf.Message).finish();
    },
    decode: (bytes) => {
      const message = Command.decode(bytes) as unknown as CommandMessage;
      const { key, put, effect } = message;
      const condition = conditionOf(message);
      return {
        // A view would keep the whole batch in memory that the command came in.
        ...(effect === 'put'
          ? { op: effect, key, value: new Uint8Array(put) }
          : { op: 'delete', key }),
        ...(condition && { condition }),
      };
    },
  },
  result: {
    encode: ({ done, revision, existed }) => {
      view.setUint8(0, (done ? DONE : 0) | (existed ? EXISTED : 0));
      view.setFloat64(1, revision, true);
      return scratch.slice();
    },
    decode: (bytes) => {
      scratch.set(bytes);
      const flags = view.getUint8(0);
      const revision = view.getFloat64(1, true);
      return { done: (flags & DONE) !== 0, revision, existed: (flags & EXISTED) !== 0 };
    },
  },
  snapshot: {
    encode: (snapshot) => Snapshot.encode(snapshot as unknown as protobuf.Message).finish(),
    decode: (bytes) => {
      const options = { longs: Number, defaults: true };
      const { items, newest } = Snapshot.toObject(Snapshot.decode(bytes), options) as KvSnapshot;
      for (const item of items) item.value = new Uint8Array(item.value);
      return { items, newest };
    },
  },
};

function conditionOf({ ifMatch, ifNoneMatch }: CommandMessage): Condition | undefined {
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
