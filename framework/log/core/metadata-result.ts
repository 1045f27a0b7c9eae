import type { ErrorCode } from '../../base/index.ts';

export interface Refusal {
  ok: false;
  code: ErrorCode;
  what: string;
  next: string;
}

/** A refusal is a result like any other: every member of the repository comes to the same one. */
export type MetadataResult =
  /** `value`: the id that was given, or the GLSN at which a log stream was sealed. */
  { ok: true; value: number } | Refusal;

export const OK: MetadataResult = { ok: true, value: 0 };

export function refuse(code: ErrorCode, what: string, next: string): Refusal {
  return { ok: false, code, what, next };
}

export const noTopic = (id: number): Refusal =>
  refuse('TOPIC_NOT_FOUND', `there is no topic ${id}`, 'list the topics to see which there are');
export const noLogStream = (id: number): Refusal =>
  refuse('LOG_STREAM_NOT_FOUND', `there is no log stream ${id}`, 'describe its topic');
export const noStorageNode = (id: number): Refusal =>
  refuse('NOT_FOUND', `there is no storage node ${id}`, 'list the storage nodes');
export const noId = (kind: string, id: number): Refusal =>
  refuse(
    'INVALID_ARGUMENT',
    `${id} cannot be the id of a ${kind}`,
    'choose one from 1 to 2^31 - 1',
  );
export const noIdLeft = (kind: string): Refusal =>
  refuse('RESOURCE_EXHAUSTED', `all ids of ${kind}s have been used`, 'make a new cluster');
