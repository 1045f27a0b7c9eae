import type { ErrorCode, Outcome } from '../../base/index.ts';
import { reasonOf, VarlogError } from '../../base/index.ts';

/** What the client's errors have: an answer's code as the name, or that of the system as the code. */
interface ClientError {
  readonly name?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number };
}

interface Kind {
  readonly code: ErrorCode;
  readonly next: string;
}

const CREDENTIALS: Kind = {
  code: 'UNAUTHENTICATED',
  next: 'check the credentials: the option credentials, or those that the settings of AWS give',
};
const REGION: Kind = {
  code: 'CONFIG_INVALID',
  next: 'give the region in which the bucket is, and the endpoint of that region',
};
const CLOCKS: Kind = {
  code: 'FAILED_PRECONDITION',
  next: "set this machine's clock: the store takes what was signed a few minutes ago, and nothing else",
};

const ANSWERS: Readonly<Record<string, Kind>> = {
  NoSuchBucket: {
    code: 'NOT_FOUND',
    next: 'make the bucket, or check its name and the endpoint',
  },
  AccessDenied: {
    code: 'UNAUTHENTICATED',
    next: 'allow s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on its objects',
  },
  RequestTimeTooSkewed: CLOCKS,
  RequestExpired: CLOCKS,
  PermanentRedirect: REGION,
  AuthorizationHeaderMalformed: REGION,
};

/** The errors of one bucket, in our words: what failed, why, and what is to be done. */
export class S3Errors {
  private readonly bucket: string;

  constructor(bucket: string) {
    this.bucket = bucket;
  }

  /** `what` says what failed. */
  of(what: string, error: unknown, outcome?: Outcome): VarlogError {
    const { name, $metadata: { httpStatusCode: status } = {} } = error as ClientError;
    const { code, next } = kindOf(error as ClientError);
    return new VarlogError(code, {
      what: `bucket "${this.bucket}": ${what}`,
      because: [name, reasonOf(error).trim()].filter((it) => it !== 'Error').join(': '),
      next,
      ...(outcome !== undefined && { outcome }),
      details: { bucket: this.bucket, ...(status !== undefined && { status }) },
      cause: error,
    });
  }

  /** Of what changes nothing that anybody sees. */
  ofPart<T>(what: string, sent: Promise<T>): Promise<T> {
    return sent.catch((error: unknown) => {
      throw this.of(what, error, 'notAppended');
    });
  }

  /** Of what takes effect at once: without an answer, or after more than one attempt, it may have. */
  ofWrite<T>(what: string, sent: Promise<T>): Promise<T> {
    return sent.catch((error: unknown) => {
      const { httpStatusCode: status = 0, attempts = 1 } = (error as ClientError).$metadata ?? {};
      const isRefused = status >= 400 && status < 500 && attempts === 1;
      if (isRefused) throw this.of(what, error, 'notAppended');
      throw this.of(`${what}, as far as is known`, error, 'unknown');
    });
  }
}

/** Whether it says that there is no such object. */
export function isAbsent(error: unknown): boolean {
  return (error as ClientError).name === 'NoSuchKey';
}

function kindOf({ name = '', code, $metadata }: ClientError): Kind {
  const status = $metadata?.httpStatusCode;
  const known = ANSWERS[name];
  if (known !== undefined) return known;
  if (name === 'CredentialsProviderError' || status === 401 || status === 403) return CREDENTIALS;
  if (status !== undefined) return ofStatus(status);
  // A connection that broke off, which the client calls a timeout too.
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return { code: 'UNAVAILABLE', next: 'try again' };
  }
  if (name === 'TimeoutError') {
    return { code: 'TIMEOUT', next: 'check the endpoint, the network and the store' };
  }
  if (typeof code === 'string') {
    return { code: 'UNREACHABLE', next: 'check the endpoint, its certificate and the network' };
  }
  return { code: 'CONFIG_INVALID', next: 'check the options endpoint, region and credentials' };
}

function ofStatus(status: number): Kind {
  if (status === 301 || status === 307) return REGION;
  if (status === 429 || status >= 500) {
    return { code: 'UNAVAILABLE', next: 'try again: the store is busy or has a failure' };
  }
  return { code: 'FAILED_PRECONDITION', next: 'do what the store says' };
}

/** An object that broke off, or is not what was written. */
export function readError(what: string, error: unknown): VarlogError {
  const isDamaged = reasonOf(error).startsWith('Checksum mismatch');
  return new VarlogError(isDamaged ? 'CORRUPT' : 'UNAVAILABLE', {
    what,
    because: reasonOf(error),
    next: isDamaged ? 'use an older one' : 'try again',
    cause: error,
  });
}
