import { VarlogError } from '../base/index.ts';

/** `bytes` of commands wait already. */
export function full(bytes: number, bytesMax: number): VarlogError {
  return new VarlogError('RESOURCE_EXHAUSTED', {
    what: `commands of ${bytes} bytes are waiting for the log, and the limit is ${bytesMax}`,
    because: 'commands arrive faster than the log takes them, or it has no quorum',
    next: 'await earlier commands before executing more, or raise queueBytesMax',
    outcome: 'notAppended',
  });
}

export function timedOut(timeoutMs: number, attempts: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `a command was not applied within ${timeoutMs} ms`,
    next: 'see whether the log has a quorum',
    outcome: attempts === 0 ? 'notAppended' : 'unknown',
  });
}

export function sessionExpired(): VarlogError {
  return new VarlogError('SESSION_EXPIRED', {
    what: 'the session of a command was closed before its outcome was known',
    because: 'it was idle for too long, or too many clients are active',
    next: 'read the state to see whether the command took effect',
    outcome: 'unknown',
  });
}

export function stoppedError(cause: unknown, attempts: number): VarlogError {
  return new VarlogError(VarlogError.is(cause) ? cause.code : 'CLOSED', {
    what: 'the replica stopped before the result of a command was known',
    ...(VarlogError.is(cause) && { because: cause.message.replace(`${cause.code}: `, '') }),
    outcome: attempts === 0 ? 'notAppended' : 'unknown',
    // What belongs to the code, such as the position of the command that could not be applied.
    ...(VarlogError.is(cause) && { details: cause.details }),
    cause,
  });
}
