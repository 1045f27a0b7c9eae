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

/** As much of the head of `queue` as may travel in one message: at least one. It is taken out. */
export function takeMessage<T extends Call | Answer>(queue: T[]): T[] {
  let bytes = 0;
  let taken = 0;
  while (taken < queue.length && bytes < MESSAGE_BYTES) bytes += sizeOf(queue[taken++]!);
  return queue.splice(0, taken);
}

/** Roughly: what is large in a call or in an answer are the values, and a listing travels alone. */
function sizeOf(it: Call | Answer): number {
  if ('list' in it && it.list !== undefined) return MESSAGE_BYTES;
  const { put, compareAndSet } = it as Call;
  const { get } = it as Answer;
  const value = put?.value ?? compareAndSet?.value ?? get?.value;
  return 100 + (value?.length ?? 0);
}
