import type { KvResult, Versioned } from './machine.ts';

/** What a call of the store asks for, as it travels (kv.proto); one of them is set. */
export interface Requests {
  put: { key: string; value: string; requestId: string };
  get: { key: string; stale: boolean };
  delete: { key: string; requestId: string };
  compareAndSet: { key: string; expected: number; value: string; requestId: string };
  list: { prefix: string; stale: boolean };
}

/** What it is answered with. */
export interface Replies {
  put: KvResult;
  get: { found: boolean } & Partial<Versioned>;
  delete: KvResult;
  compareAndSet: KvResult;
  list: { items: (Versioned & { key: string })[]; revision: number };
}

export type Operation = keyof Requests;

/** Message `Call`. */
export type Call = { id: number } & { request?: Operation } & Partial<Requests>;

/** Message `Answer`. */
export interface Answer {
  id: number;
  write?: KvResult;
  get?: Replies['get'];
  list?: Replies['list'];
  failure?: { status: number; message: string };
}

/** The field of an answer in which an operation's reply travels. */
export function fieldOf(operation: Operation): 'write' | 'get' | 'list' {
  return operation === 'get' || operation === 'list' ? operation : 'write';
}
