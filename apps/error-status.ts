import type { ErrorCode } from 'varlog/log';
import { HttpStatus } from 'varlog/node';

/**
 * How errors are told over HTTP that whoever asked can do something about. All others are of the server itself, which cannot
 * serve now: 503. So is what the log says to a server without the right token: it is not the client who can mend that.
 */
const STATUS: Partial<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: HttpStatus.badRequest,
  POSITION_OUT_OF_RANGE: HttpStatus.badRequest,
  NOT_FOUND: HttpStatus.notFound,
  TRIMMED: HttpStatus.gone,
  FAILED_PRECONDITION: HttpStatus.preconditionFailed,
  ENTRY_TOO_LARGE: HttpStatus.contentTooLarge,
  REQUEST_MISMATCH: HttpStatus.unprocessableContent,
  RESOURCE_EXHAUSTED: HttpStatus.tooManyRequests,
  INTERNAL: HttpStatus.internalServerError,
  TIMEOUT: HttpStatus.gatewayTimeout,
};
const CODES = Object.entries(STATUS) as [ErrorCode, number][];

/** The status of an answer that tells an error. */
export function statusOfCode(code: ErrorCode): number {
  return STATUS[code] ?? HttpStatus.serviceUnavailable;
}

/**
 * The code of an error that was answered with this status: `said` where that fits, for a status may stand for several. Others may
 * answer as well, such as a server of something else or a proxy: what they refuse they refuse the next time too.
 */
export function codeOfStatus(status: number, said: unknown): ErrorCode {
  if (status === HttpStatus.unauthorized) return 'UNAUTHENTICATED';
  const codes = CODES.filter((it) => it[1] === status).map(([code]) => code);
  // One that a server waited for too long was not refused.
  const isRefused = status >= 300 && status < 500 && status !== HttpStatus.requestTimeout;
  const other = isRefused ? 'FAILED_PRECONDITION' : 'UNAVAILABLE';
  return codes.find((it) => it === said) ?? codes[0] ?? other;
}
