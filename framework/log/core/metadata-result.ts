import type { ErrorCode } from '../../base/index.ts';

/** A refusal is a result like any other: every member of the repository comes to the same one. */
export type MetadataResult =
  /** `value`: the id that was given, or the GLSN at which a log stream was sealed. */
  { ok: true; value: number } | { ok: false; code: ErrorCode; what: string; next: string };

export const OK: MetadataResult = { ok: true, value: 0 };

export function refuse(
  code: ErrorCode,
  what: string,
  next: string,
): MetadataResult & { ok: false } {
  return { ok: false, code, what, next };
}
