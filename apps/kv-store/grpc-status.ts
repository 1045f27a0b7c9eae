import { status } from '@grpc/grpc-js';
import { VarlogError } from 'varlog/log';

const STATUS: Record<string, status> = {
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  ENTRY_TOO_LARGE: status.INVALID_ARGUMENT,
  TRIMMED: status.OUT_OF_RANGE,
  RESOURCE_EXHAUSTED: status.RESOURCE_EXHAUSTED,
  TIMEOUT: status.DEADLINE_EXCEEDED,
};

/** An error as gRPC tells it. */
export function statusOf(error: unknown): { code: status; details: string } {
  const code = VarlogError.is(error) ? (STATUS[error.code] ?? status.UNAVAILABLE) : status.INTERNAL;
  return { code, details: error instanceof Error ? error.message : String(error) };
}
