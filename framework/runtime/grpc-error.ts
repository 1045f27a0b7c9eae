import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { type ErrorCode, isErrorCode, type Outcome, reasonOf, VarlogError } from '../base/index.ts';
import { DETAILS_KEY, publishedDetail } from './published-detail.ts';

/** Carries our error over the wire beside the status, for our own clients. */
const ERROR_KEY = 'varlog-error-bin';

/**
 * What foreign gRPC clients are told; the Go client of Varlog tells errors apart by these. It tries
 * again automatically on UNAVAILABLE, so an error whose outcome may be unknown must not carry that. A code
 * that is not listed is UNKNOWN.
 */
const STATUS: Partial<Record<ErrorCode, status>> = {
  ADDRESS_IN_USE: status.UNAVAILABLE,
  ALREADY_EXISTS: status.ALREADY_EXISTS,
  ANOTHER_APPLIER: status.FAILED_PRECONDITION,
  BEYOND_TAIL: status.OUT_OF_RANGE,
  CANCELLED: status.CANCELLED,
  CLOSED: status.UNAVAILABLE,
  CLUSTER_MISMATCH: status.FAILED_PRECONDITION,
  CONDITION_FAILED: status.FAILED_PRECONDITION,
  CONFIG_INVALID: status.INVALID_ARGUMENT,
  CORRUPT: status.DATA_LOSS,
  DIRECTORY_IN_USE: status.FAILED_PRECONDITION,
  DIRECTORY_UNWRITABLE: status.FAILED_PRECONDITION,
  DISK_FAILED: status.INTERNAL,
  DISK_FULL: status.RESOURCE_EXHAUSTED,
  DISK_LOST: status.FAILED_PRECONDITION,
  DISK_UNKNOWN: status.FAILED_PRECONDITION,
  EMPTY_BATCH: status.INVALID_ARGUMENT,
  ENTRY_TOO_LARGE: status.INVALID_ARGUMENT,
  FAILED_PRECONDITION: status.FAILED_PRECONDITION,
  FORMAT_UNKNOWN: status.FAILED_PRECONDITION,
  GROUP_DESTROYED: status.FAILED_PRECONDITION,
  IDENTITY_MISMATCH: status.FAILED_PRECONDITION,
  INTERNAL: status.INTERNAL,
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  INVARIANT: status.INTERNAL,
  LOG_MISMATCH: status.FAILED_PRECONDITION,
  LOG_STREAM_NOT_FOUND: status.NOT_FOUND,
  MEMBER_REMOVED: status.UNAVAILABLE,
  NOT_FOUND: status.NOT_FOUND,
  NOT_LEADER: status.UNAVAILABLE,
  NOT_PRIMARY: status.UNAVAILABLE,
  POSITION_OUT_OF_RANGE: status.INVALID_ARGUMENT,
  REQUEST_MISMATCH: status.FAILED_PRECONDITION,
  RESOURCE_EXHAUSTED: status.RESOURCE_EXHAUSTED,
  SEALED: status.FAILED_PRECONDITION,
  SESSION_EXPIRED: status.FAILED_PRECONDITION,
  TIMEOUT: status.DEADLINE_EXCEEDED,
  TOPIC_NOT_FOUND: status.NOT_FOUND,
  TRIMMED: status.OUT_OF_RANGE,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  UNAVAILABLE: status.UNAVAILABLE,
  UNIMPLEMENTED: status.UNIMPLEMENTED,
  UNREACHABLE: status.UNAVAILABLE,
};

/** What the bare statuses of other servers mean to us; all others are `INTERNAL`. */
const CODES: Partial<Record<status, ErrorCode>> = {
  [status.ALREADY_EXISTS]: 'ALREADY_EXISTS',
  [status.CANCELLED]: 'CANCELLED',
  [status.DATA_LOSS]: 'CORRUPT',
  [status.DEADLINE_EXCEEDED]: 'TIMEOUT',
  [status.FAILED_PRECONDITION]: 'FAILED_PRECONDITION',
  [status.INVALID_ARGUMENT]: 'INVALID_ARGUMENT',
  [status.NOT_FOUND]: 'NOT_FOUND',
  [status.OUT_OF_RANGE]: 'TRIMMED',
  [status.RESOURCE_EXHAUSTED]: 'RESOURCE_EXHAUSTED',
  [status.UNAVAILABLE]: 'UNAVAILABLE',
  [status.UNIMPLEMENTED]: 'UNIMPLEMENTED',
};

/** Connecting failed: nothing of the call has left this machine. */
const NEVER_SENT = /No connection established|Name resolution failed|ECONNREFUSED|ENOTFOUND/;
/** Somebody took the connection, and answered in the words of something else. */
const OTHER_PROTOCOL = /Last error: (?:Error(?: \[\w+\])?: )?(?:Protocol error|Parse Error)/;
const TLS_FAILED = /certificate|altnames|SSL routines/;
/** How grpc-js words a stream that was reset because its connection went away. */
const RESET = 'Call cancelled';
/** How it words one that our server reset because its reader did not read. */
const CUT = 'Bandwidth exhausted or memory limit exceeded';

/** How it words that its own clock ended a call, and that there was no connection by then. */
const OWN_DEADLINE = /^Deadline exceeded/;
const NO_CONNECTION_YET = /Waiting for LB pick|Waiting for name resolution/i;

/** Together well below the 16 KiB that HTTP/2 peers commonly allow for trailers. */
const SENTENCE_CHARACTERS_MAX = 1_000;
const DETAILS_CHARACTERS_MAX = 4_000;

interface WireError {
  code: string;
  message: string;
  outcome?: Outcome;
  details: Record<string, unknown>;
}

/** What a handler threw, as the server sends it. */
export function toStatus(error: unknown): Partial<StatusObject> {
  const message = clean(reasonOf(error));
  if (!VarlogError.is(error)) return { code: status.INTERNAL, details: `INTERNAL: ${message}` };
  const wire: WireError = {
    code: error.code,
    message,
    details: sendable(error.details),
    ...(error.outcome === undefined ? {} : { outcome: error.outcome }),
  };
  const metadata = new Metadata();
  metadata.set(ERROR_KEY, Buffer.from(JSON.stringify(wire)));
  const code = STATUS[error.code] ?? status.UNKNOWN;
  const published = publishedDetail(error.code, code, message);
  if (published !== undefined) metadata.set(DETAILS_KEY, Buffer.from(published));
  return { code, details: message, metadata };
}

/** What a call at `address` ended with, as its caller sees it. */
export function fromStatus(address: string, error: ServiceError | StatusObject): VarlogError {
  const carried = carriedError(error);
  if (carried !== undefined) return carried;
  const { details } = error;
  if (error.code === status.RESOURCE_EXHAUSTED && details === CUT) {
    return new VarlogError('CANCELLED', {
      what: `${address} has cancelled the stream`,
      because: 'what it had sent was not read in time',
      details: { address },
      cause: error,
    });
  }
  if (isNoConnection(error) && OTHER_PROTOCOL.test(details)) {
    return new VarlogError('UNREACHABLE', {
      what: `what answers at ${address} does not speak gRPC`,
      because: connectFailure(details),
      next: 'check that the address is that of a node, and that either both sides use TLS or none',
      details: { address },
      cause: error,
    });
  }
  if (isNoConnection(error)) {
    const insecure = TLS_FAILED.test(details);
    return new VarlogError('UNREACHABLE', {
      what: insecure ? `no TLS connection to ${address}` : `nothing answers at ${address}`,
      because: connectFailure(details),
      next: insecure
        ? 'check that both sides use TLS, and that each trusts the authority of the other and knows the address it dials'
        : 'check that the node runs, that the address is right, and that either both sides use TLS, with certificates that the other one accepts, or none',
      details: { address, ...(insecure && { tls: true }) },
      cause: error,
    });
  }
  if (error.code === status.UNAUTHENTICATED) {
    return new VarlogError('UNAUTHENTICATED', {
      what: `${address} refused the call`,
      because: details,
      next: 'give one of the access tokens that it knows: as `token` in a program, in a file by --token-file or VARLOG_TOKEN_FILE',
      // Such a call is refused before any of it is read.
      outcome: 'notAppended',
      details: { address },
      cause: error,
    });
  }
  const reset = error.code === status.CANCELLED && details === RESET;
  const code = reset ? 'UNAVAILABLE' : (CODES[error.code] ?? 'INTERNAL');
  // A handler's own sentence needs no introduction.
  if (details.startsWith(`${code}: `))
    return new VarlogError(code, { what: details, cause: error });
  if (code === 'TIMEOUT' && OWN_DEADLINE.test(details)) {
    const silent = NO_CONNECTION_YET.test(details);
    return new VarlogError(code, {
      what: silent ? `nothing answers at ${address}` : `${address} did not answer the call in time`,
      ...(silent && { because: 'no connection came about in the time of the call' }),
      next: 'check that the node runs and is not stuck, that the address is right, and that nothing on the way drops what is sent',
      details: { address },
      cause: error,
    });
  }
  return new VarlogError(code, {
    what: `the call to ${address} failed: ${reset ? 'the connection was closed' : details}`,
    details: { address },
    cause: error,
  });
}

/** Whether no connection came about. A server that says so means one of its own, to somebody else. */
export function isNoConnection(error: ServiceError | StatusObject): boolean {
  const { code, details } = error;
  const isUnsent = code === status.UNAVAILABLE && NEVER_SENT.test(details);
  return isUnsent && carriedError(error) === undefined;
}

/** The error of our own server, where there is one. Metadata of a stranger must do no harm. */
function carriedError(error: ServiceError | StatusObject): VarlogError | undefined {
  const carried = error.metadata?.get(ERROR_KEY)[0];
  if (!(carried instanceof Uint8Array)) return undefined;
  try {
    const { code, message, outcome, details } = JSON.parse(carried.toString()) as WireError;
    if (!isErrorCode(code)) return undefined;
    const parts = { what: message, details, cause: error };
    // A bug of the peer is none of this process, which would end for one of its own.
    const seen = code === 'INVARIANT' ? 'INTERNAL' : code;
    return new VarlogError(seen, outcome === undefined ? parts : { ...parts, outcome });
  } catch {
    return undefined;
  }
}

/** Why no connection came about, without what grpc-js writes around it. */
function connectFailure(details: string): string {
  const refused = /connect E\w+ \S*\w/.exec(details)?.[0];
  const alert = /SSL routines:\w+:([^:]+)/.exec(details)?.[1];
  const last =
    /Last error: (?:Error(?: \[\w+\])?: )?(.*?)(?: \(\d{4}-|\.? Resolution note|$)/s.exec(details);
  return refused ?? alert ?? last?.[1] ?? details;
}

function clean(sentence: string): string {
  // Half a surrogate pair cannot be written as a header.
  return sentence.slice(0, SENTENCE_CHARACTERS_MAX).replace(/\p{Surrogate}/gu, '\u{FFFD}');
}

function sendable(details: Record<string, unknown>): Record<string, unknown> {
  try {
    return JSON.stringify(details).length <= DETAILS_CHARACTERS_MAX ? details : {};
  } catch {
    return {};
  }
}
