import { VarlogError } from '../base/index.ts';

export function notForkable(): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: 'the machine of this replica cannot be forked',
    because: 'tentative answers come from a copy of it, which has to be cheap',
    next: 'give the machine a method `fork()`, with its state in a VersionedMap, or use `execute`',
    outcome: 'notAppended',
  });
}

export function sharesState(): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: 'the `fork()` of the machine gave the machine itself',
    because: 'what is tentative would get into the replicated state',
    next: 'have it make another machine in the same state',
    outcome: 'notAppended',
  });
}

/** Commands that are executed meanwhile wait. */
export function isBeingReplaced(): VarlogError {
  return new VarlogError('UNAVAILABLE', {
    what: 'there is no tentative answer while the state of the replica is replaced',
    because: 'it goes on from a snapshot',
    next: 'use `execute`, or try again',
    outcome: 'notAppended',
  });
}

/** A command that throws here would throw at every replica, and stop it. */
export function cannotGuess(cause: unknown): VarlogError {
  if (VarlogError.is(cause, 'FAILED_PRECONDITION')) return cause;
  const inner = cause instanceof Error ? (cause.cause ?? cause) : cause;
  return new VarlogError('APPLY_FAILED', {
    what: 'what is under way cannot be applied to a fork of the machine',
    because: 'the machine threw, or its result cannot be encoded: that would stop every replica',
    next: 'correct the machine: a refused command is a result. The command was not sent',
    outcome: 'notAppended',
    cause: inner,
  });
}
