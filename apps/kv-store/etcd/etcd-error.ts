import { status } from '@grpc/grpc-js';
import { VarlogError } from 'varlog/log';
import { statusOf } from '../grpc-status.ts';
import { type Refusal, Refused } from '../refusal.ts';

/** An error as etcd words it: its clients know some of them by the text. */
export class EtcdError extends Error {
  readonly code: status;

  constructor(code: status, text: string) {
    super(`etcdserver: ${text}`);
    this.code = code;
  }
}

const { FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, OUT_OF_RANGE } = status;

const REFUSALS: Record<Refusal, readonly [status, string]> = {
  compacted: [OUT_OF_RANGE, 'mvcc: required revision has been compacted'],
  futureRevision: [OUT_OF_RANGE, 'mvcc: required revision is a future revision'],
  keyNotFound: [INVALID_ARGUMENT, 'key not found'],
  leaseNotFound: [NOT_FOUND, 'requested lease not found'],
  leaseExists: [FAILED_PRECONDITION, 'lease already exists'],
  tooManyLeases: [status.RESOURCE_EXHAUSTED, 'too many leases'],
  answerTooLarge: [status.RESOURCE_EXHAUSTED, 'answer is too large: ask for less, with a limit'],
};

/** What the machine refused. */
export function refused(refusal: Refusal): EtcdError {
  return new EtcdError(...REFUSALS[refusal]);
}

/** What a request is refused for that makes no sense. */
export function invalid(text: string): EtcdError {
  return new EtcdError(INVALID_ARGUMENT, text);
}

/**
 * An error as gRPC tells it to clients of etcd. Where the outcome of a write is unknown, it is that of a request that timed
 * out; every other one of the log's means that another replica may answer.
 */
export function etcdStatusOf(error: unknown): { code: status; details: string } {
  if (error instanceof EtcdError) return { code: error.code, details: error.message };
  if (error instanceof Refused) return etcdStatusOf(refused(error.refusal));
  if (VarlogError.is(error, 'TIMEOUT') || (VarlogError.is(error) && error.outcome === 'unknown'))
    return etcdStatusOf(new EtcdError(status.UNAVAILABLE, 'request timed out'));
  if (VarlogError.is(error, 'ENTRY_TOO_LARGE'))
    return etcdStatusOf(invalid('request is too large'));
  if (VarlogError.is(error, 'RESOURCE_EXHAUSTED'))
    return etcdStatusOf(new EtcdError(status.RESOURCE_EXHAUSTED, 'too many requests'));
  return statusOf(error);
}
