/**
 * Every code that an error of this package can carry, and whether the same call may succeed when it
 * is simply tried again. The list is closed and the codes are stable.
 */
const RETRYABLE = {
  ADDRESS_IN_USE: false,
  ALREADY_EXISTS: false,
  ANOTHER_APPLIER: false,
  APPEND_UNKNOWN: false,
  APPLY_FAILED: false,
  BEYOND_TAIL: false,
  CANCELLED: false,
  CLOSED: false,
  CLUSTER_MISMATCH: false,
  CONFIG_INVALID: false,
  CORRUPT: false,
  DIRECTORY_IN_USE: false,
  DIRECTORY_UNWRITABLE: false,
  DISK_FAILED: false,
  DISK_FULL: true,
  DISK_LOST: false,
  DISK_UNKNOWN: false,
  EMPTY_BATCH: false,
  ENTRY_TOO_LARGE: false,
  FAILED_PRECONDITION: false,
  IDENTITY_MISMATCH: false,
  INTERNAL: false,
  INVALID_ARGUMENT: false,
  INVARIANT: false,
  LOG_MISMATCH: false,
  LOG_STREAM_NOT_FOUND: false,
  NOT_FOUND: false,
  NOT_LEADER: true,
  NOT_PRIMARY: true,
  POSITION_OUT_OF_RANGE: false,
  REQUEST_MISMATCH: false,
  RESOURCE_EXHAUSTED: true,
  SEALED: true,
  SESSION_EXPIRED: false,
  TIMEOUT: true,
  TOPIC_NOT_FOUND: false,
  TRIMMED: false,
  UNAVAILABLE: true,
  UNIMPLEMENTED: false,
  UNREACHABLE: true,
} as const;

export type ErrorCode = keyof typeof RETRYABLE;

/** What is known about the effect of a failed append or command. */
export type Outcome = 'notAppended' | 'unknown';

export interface ErrorParts {
  /** What happened and where, as a sentence without a full stop. */
  what: string;
  /** The likely cause, where one is known. The message of an error loses its full stop here. */
  because?: string;
  /** What the reader can do now. */
  next?: string;
  /** For writes: `notAppended` never takes effect, `unknown` may take effect once, now or later. */
  outcome?: Outcome;
  /** Facts for programs: positions, ids, addresses. Must survive JSON. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

const MARK = Symbol.for('varlog.error');

/**
 * The one class of operational errors. Tell errors apart by `code`; use {@link VarlogError.is}
 * instead of `instanceof`, because two copies of this package may be loaded.
 */
export class VarlogError extends Error {
  readonly code: ErrorCode;
  /** Whether the same call may succeed when it is tried again. Says nothing about side effects: see `outcome`. */
  readonly retryable: boolean;
  readonly outcome: Outcome | undefined;
  readonly details: Record<string, unknown>;
  readonly [MARK] = true;

  constructor(code: ErrorCode, parts: ErrorParts) {
    super(sentence(code, parts), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = 'VarlogError';
    this.code = code;
    this.retryable = RETRYABLE[code];
    this.outcome = parts.outcome;
    this.details = parts.details ?? {};
  }

  /** Whether `error` comes from this package; with `code`, whether it is that error. */
  static is(error: unknown): error is VarlogError;
  static is<Code extends ErrorCode>(
    error: unknown,
    code: Code,
  ): error is VarlogError & { readonly code: Code };
  static is(error: unknown, code?: ErrorCode): boolean {
    const marked = typeof error === 'object' && error !== null && MARK in error;
    return marked && (code === undefined || (error as VarlogError).code === code);
  }
}

/** Whether `code` is one of ours: for codes that arrive over the wire. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(RETRYABLE, code);
}

function sentence(code: ErrorCode, parts: ErrorParts): string {
  // An error that crossed the wire already carries its sentence.
  if (parts.what.startsWith(`${code}: `)) return parts.what;
  const because = parts.because === undefined ? '' : ` (${parts.because.replace(/\.$/, '')})`;
  const next = parts.next === undefined ? '' : `; ${parts.next}`;
  return `${code}: ${parts.what}${because}${next}.`;
}
