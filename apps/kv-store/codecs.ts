import protobuf from 'protobufjs/light.js';
import { VarlogError } from 'varlog/log';
import type { ReplicaCodecs } from 'varlog/smr';
import { decodePut, encodePut } from './codec-of-puts.ts';
import { decodeWrite, encodeWrite, type WriteMessage } from './codec-of-writes.ts';
import type { TxnRequest, TxnResponse } from './etcd/messages.ts';
import { keyOfBytes } from './key.ts';
import type { EtcdResult, KvCommand, KvResult, KvSnapshot } from './machine.ts';
import { messages, plain } from './proto.ts';
import type { Refusal } from './refusal.ts';
import type { Version } from './version.ts';
import { bytesOfVersions } from './version-bytes.ts';

const Operation = messages.lookupType('kv.stored.Operation');
const Write = messages.lookupType('kv.stored.Write');
const Result = messages.lookupType('kv.stored.Result');
const State = messages.lookupType('kv.stored.State');
const FirstSnapshot = messages.lookupType('kv.stored.Snapshot');
const TxnRequestType = messages.lookupType('etcdserverpb.TxnRequest');
const TxnResponseType = messages.lookupType('etcdserverpb.TxnResponse');

/** What begins so is not of format 1, and readers of that refuse it: no field of a message has this type. */
const MARK = 7;
const FORMAT = 2;
const HEADER = [MARK, FORMAT];

/** Tags of fields of `State`. */
const BASE = 0x22;
const CHANGES = 0x2a;

const DONE = 1;
const EXISTED = 2;
/** First byte of a result that is a message. */
const MESSAGE = 0x80;
/** Holds one result at a time. Callers get a small copy, not a part of a large buffer that would stay in memory with it. */
const scratch = new Uint8Array(9);
const view = new DataView(scratch.buffer);

type StoredNumber = number | protobuf.Long;

/** Message `Operation`, as it is decoded. */
interface OperationMessage {
  operation?: 'transact' | 'compact' | 'grant' | 'revoke' | 'keepAlive' | 'expire';
  write: WriteMessage | null;
  transact: protobuf.Message;
  compact: StoredNumber;
  grant: { lease: StoredNumber; ttl: StoredNumber };
  revoke: StoredNumber;
  keepAlive: StoredNumber;
  expire: StoredNumber;
}

/**
 * How the store's commands and snapshots become bytes (stored.proto). The result of a write, of which one is kept for each
 * request, is `flags (uint8) | revision (float64, little endian)`; others are a byte 128 and a message.
 */
export const kvCodecs: ReplicaCodecs<KvCommand, KvResult | EtcdResult, KvSnapshot> = {
  command: {
    encode: (command) =>
      command.op === 'put' && command.condition === undefined
        ? encodePut(HEADER, command.key, command.value)
        : Operation.encode(operationOf(command) as protobuf.Message, beginning()).finish(),
    decode: (bytes) => {
      if (bytes[0] === MARK) {
        checkFormat(bytes, 'a command');
        return decodePut(bytes, HEADER.length) ?? commandOf(Operation.decode(body(bytes)));
      }
      const message = Write.decode(bytes) as unknown as WriteMessage;
      return { ...decodeWrite(message), byPosition: true };
    },
  },
  result: {
    encode: (result) => {
      if ('done' in result) return encodeResult(result);
      const message = Result.encode(result as unknown as protobuf.Message).finish();
      return Buffer.concat([Uint8Array.of(MESSAGE), message]);
    },
    decode: (bytes) =>
      bytes[0] === MESSAGE ? etcdResultOf(Result.decode(bytes.subarray(1))) : decodeResult(bytes),
  },
  snapshot: {
    encode: ({ base, changes, ...state }) => {
      const rest = State.encode(state as unknown as protobuf.Message, beginning()).finish();
      return Buffer.concat([rest, bytesOfVersions(base, BASE), bytesOfChanges(changes)]);
    },
    decode: (bytes) => {
      if (bytes[0] !== MARK) return firstStateOf(FirstSnapshot.decode(bytes));
      checkFormat(bytes, 'a snapshot');
      return stateOf(State.decode(body(bytes)));
    },
  },
};

/** What stands before a message of this format. */
function beginning(): protobuf.Writer {
  return protobuf.Writer.create().uint32(MARK).uint32(FORMAT);
}

/** Changes that go into one snapshot after the other, as a piece that stays as it is, are encoded once. */
const bytesOfPieces = new WeakMap<readonly Version[], Uint8Array>();

function bytesOfChanges(changes: readonly Version[]): Uint8Array {
  const known = bytesOfPieces.get(changes);
  if (known !== undefined) return known;
  const bytes = bytesOfVersions(changes, CHANGES);
  bytesOfPieces.set(changes, bytes);
  return bytes;
}

function body(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(HEADER.length);
}

function checkFormat(bytes: Uint8Array, what: string): void {
  if (bytes[1] === FORMAT) return;
  throw new VarlogError('FORMAT_UNKNOWN', {
    what: `${what} of the key-value store has format ${bytes[1]}, and this version reads formats 1 and 2`,
    because: 'a later version wrote it',
    next: 'start that version or a later one',
  });
}

function operationOf(command: KvCommand): object {
  switch (command.op) {
    case 'transact':
      return { transact: command.request };
    case 'compact':
      return { compact: command.revision };
    case 'grant':
      return { grant: { lease: command.lease, ttl: command.ttl } };
    case 'revoke':
      return { revoke: command.lease };
    case 'keepAlive':
      return { keepAlive: command.lease };
    case 'expire':
      return { expire: command.lease };
    default:
      return { write: encodeWrite(command) };
  }
}

function commandOf(message: protobuf.Message): KvCommand {
  const it = message as unknown as OperationMessage;
  // Most are writes: which of all it is takes longer to find out.
  if (it.write !== null) return decodeWrite(it.write);
  switch (it.operation) {
    case 'transact':
      return { op: 'transact', request: plain<TxnRequest>(TxnRequestType, it.transact) };
    case 'compact':
      return { op: 'compact', revision: Number(it.compact) };
    case 'grant':
      return { op: 'grant', lease: Number(it.grant.lease), ttl: Number(it.grant.ttl) };
    case 'revoke':
      return { op: 'revoke', lease: Number(it.revoke) };
    case 'keepAlive':
      return { op: 'keepAlive', lease: Number(it.keepAlive) };
    case 'expire':
      return { op: 'expire', lease: Number(it.expire) };
    default:
      throw new VarlogError('FORMAT_UNKNOWN', {
        what: 'a command of the key-value store is of a kind that this version does not know',
        because: 'a later version wrote it',
        next: 'start that version or a later one',
      });
  }
}

function encodeResult({ done, revision, existed }: KvResult): Uint8Array {
  view.setUint8(0, (done ? DONE : 0) | (existed ? EXISTED : 0));
  view.setFloat64(1, revision, true);
  return scratch.slice();
}

function decodeResult(bytes: Uint8Array): KvResult {
  scratch.set(bytes);
  const flags = view.getUint8(0);
  const revision = view.getFloat64(1, true);
  return { done: (flags & DONE) !== 0, revision, existed: (flags & EXISTED) !== 0 };
}

function etcdResultOf(message: protobuf.Message): EtcdResult {
  const { revision, refused, txn, ttl } = message as unknown as {
    revision: StoredNumber;
    refused: string;
    txn: protobuf.Message | null;
    ttl: StoredNumber;
  };
  return {
    revision: Number(revision),
    ...(refused !== '' && { refused: refused as Refusal }),
    ...(txn !== null && { txn: plain<TxnResponse>(TxnResponseType, txn) }),
    ...(Number(ttl) > 0 && { ttl: Number(ttl) }),
  };
}

function stateOf(message: protobuf.Message): KvSnapshot {
  const it = message as unknown as {
    revision: StoredNumber;
    compacted: StoredNumber;
    forgotten: StoredNumber;
    base: object[];
    changes: object[];
    leases: { id: StoredNumber; ttl: StoredNumber; expiresAt: number; timer: StoredNumber }[];
  };
  return {
    revision: Number(it.revision),
    compacted: Number(it.compacted),
    forgotten: Number(it.forgotten),
    base: it.base.map(versionOf),
    changes: it.changes.map(versionOf),
    leases: it.leases.map(({ id, ttl, expiresAt, timer }) => ({
      id: Number(id),
      ttl: Number(ttl),
      expiresAt,
      timer: Number(timer),
    })),
  };
}

function versionOf(message: object): Version {
  const it = message as {
    key: Uint8Array;
    value: Uint8Array | null;
    revision: StoredNumber;
    createRevision: StoredNumber;
    version: StoredNumber;
    lease: StoredNumber;
  };
  return {
    key: keyOfBytes(it.key),
    // A view would keep all of the snapshot in memory.
    value: it.value === null ? undefined : new Uint8Array(it.value),
    revision: Number(it.revision),
    createRevision: Number(it.createRevision),
    version: Number(it.version),
    lease: Number(it.lease),
  };
}

/** Of format 1, which knows no past, and of each key its last change only. */
function firstStateOf(message: protobuf.Message): KvSnapshot {
  const { items, newest } = message as unknown as {
    items: { key: Uint8Array; value: Uint8Array; revision: StoredNumber }[];
    newest: StoredNumber;
  };
  const at = Number(newest);
  const base = items.map((item) => {
    const revision = Number(item.revision);
    const value = new Uint8Array(item.value);
    const key = keyOfBytes(item.key);
    return { key, value, revision, createRevision: revision, version: 1, lease: 0 };
  });
  return { revision: at, compacted: at, forgotten: at, base, changes: [], leases: [] };
}
