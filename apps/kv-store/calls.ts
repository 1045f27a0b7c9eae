import type { KvResult } from './machine.ts';
import type { Listing, Versioned } from './service.ts';

/** What comes with a revision: the identity of the log in which it counts. */
interface InLog {
  log: string;
}

/** What a call of the store asks for, as it travels (kv.proto); one of them is set. */
export interface Requests {
  put: { key: string; value: Uint8Array; requestId: string };
  get: { key: string; stale: boolean };
  delete: { key: string; requestId: string };
  compareAndSet: {
    key: string;
    expected: number;
    value: Uint8Array;
    requestId: string;
    /** In which `expected` counts; empty: not checked. */
    log: string;
  };
  list: { prefix: string; stale: boolean };
}

/** What it is answered with. */
export interface Replies {
  put: KvResult & InLog;
  get: { found: boolean } & Partial<Versioned> & InLog;
  delete: KvResult & InLog;
  compareAndSet: KvResult & InLog;
  list: Listing;
}

export type Operation = keyof Requests;

/** Message `Call`. */
export type Call = { id: number } & { request?: Operation } & Partial<Requests>;

/** Message `Answer`. */
export interface Answer {
  id: number;
  write?: Replies['put'];
  get?: Replies['get'];
  list?: Replies['list'];
  failure?: { status: number; message: string };
}

/** Message `Answers`. */
export interface Answers {
  answers: Answer[];
  /** Identity of the log in which their revisions count. */
  log: string;
}

/** The field of an answer in which an operation's reply travels. */
export function fieldOf(operation: Operation): 'write' | 'get' | 'list' {
  return operation === 'get' || operation === 'list' ? operation : 'write';
}

/** Calls or answers that leave in one message have about this many bytes together. */
const MESSAGE_BYTES = 1024 * 1024;
/** More than the store takes, and so little that a message of those before and this one stays below gRPC's 4 MiB. */
const CALL_BYTES_MAX = 2 * 1024 * 1024;

/** As much of the head of `queue` as may travel in one message: at least one. It is taken out. */
export function takeMessage<T extends Call | Answer>(queue: T[]): T[] {
  let bytes = 0;
  let taken = 0;
  while (taken < queue.length && bytes < MESSAGE_BYTES) bytes += sizeOf(queue[taken++]!);
  return queue.splice(0, taken);
}

/** What a message costs beside its texts and bytes, roughly. */
const FIELDS_BYTES = 100;

/** A character has so many bytes in UTF-8 at most. */
const CHARACTER_BYTES = 3;

/** The bytes of a call or an answer, roughly: no less than it has. A listing travels alone. */
function sizeOf(it: Call | Answer): number {
  if ('list' in it && 'items' in it.list!) return MESSAGE_BYTES;
  let bytes = FIELDS_BYTES;
  for (const name in it) {
    const part: unknown = it[name as keyof typeof it];
    if (typeof part === 'object') bytes += sizeOfFields(part as Readonly<Record<string, unknown>>);
  }
  return bytes;
}

function sizeOfFields(message: Readonly<Record<string, unknown>>): number {
  let bytes = 0;
  for (const name in message) {
    const field = message[name];
    if (typeof field === 'string') bytes += CHARACTER_BYTES * field.length;
    else if (field instanceof Uint8Array) bytes += field.length;
  }
  return bytes;
}

/** Whether a call is so large that no replica takes it: it would end the stream, and with it the calls beside it. */
export function isTooLarge(call: Call): boolean {
  return sizeOf(call) > CALL_BYTES_MAX;
}
