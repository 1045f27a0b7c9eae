import { status } from '@grpc/grpc-js';
import { reasonOf, VarlogError } from 'varlog/log';
import { isOfAnotherLog } from './log-tag.ts';

const STATUS: Record<string, status> = {
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  ENTRY_TOO_LARGE: status.INVALID_ARGUMENT,
  REQUEST_MISMATCH: status.FAILED_PRECONDITION,
  TRIMMED: status.OUT_OF_RANGE,
  RESOURCE_EXHAUSTED: status.RESOURCE_EXHAUSTED,
  TIMEOUT: status.DEADLINE_EXCEEDED,
};
const DETAILS_LENGTH_MAX = 1_000;

/** An error as gRPC tells it: every other one of the log's means that another replica may answer. */
export function statusOf(error: unknown): { code: status; details: string } {
  const code = codeOf(error);
  const details = reasonOf(error);
  // Half a surrogate pair cannot be written as a header.
  return {
    code,
    details: details.slice(0, DETAILS_LENGTH_MAX).replace(/\p{Surrogate}/gu, '\u{FFFD}'),
  };
}

function codeOf(error: unknown): status {
  if (isOfAnotherLog(error)) return status.FAILED_PRECONDITION;
  return VarlogError.is(error) ? (STATUS[error.code] ?? status.UNAVAILABLE) : status.INTERNAL;
}
