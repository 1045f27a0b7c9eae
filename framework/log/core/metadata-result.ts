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

/** A refusal names so many of those that there are: the rest can be listed. */
const NAMED_MAX = 20;

/** What somebody may choose from who named what there is not. */
export function choices(kind: string, known: Iterable<number | string>): string {
  const all = [...known];
  if (all.length === 0) return `there is no ${kind} at all`;
  const named = all.slice(0, NAMED_MAX).join(', ');
  const left = all.length - NAMED_MAX;
  return left > 0 ? `choose one of ${named}, or of ${left} more` : `choose one of ${named}`;
}

export const noTopic = (id: number, known: Iterable<number>): Refusal =>
  refuse('TOPIC_NOT_FOUND', `there is no topic ${id}`, choices('topic', known));
export const noLogStream = (id: number, known: Iterable<number>): Refusal =>
  refuse('LOG_STREAM_NOT_FOUND', `there is no log stream ${id}`, choices('log stream', known));
export const noStorageNode = (id: number, known: Iterable<number>): Refusal =>
  refuse('NOT_FOUND', `there is no storage node ${id}`, choices('storage node', known));
export const noId = (kind: string, id: number): Refusal =>
  refuse(
    'INVALID_ARGUMENT',
    `${id} cannot be the id of a ${kind}`,
    'choose one from 1 to 2^31 - 1',
  );
export const noIdLeft = (kind: string): Refusal =>
  refuse('RESOURCE_EXHAUSTED', `all ids of ${kind}s have been used`, 'make a new cluster');
