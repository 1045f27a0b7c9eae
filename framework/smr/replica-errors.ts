import { shown, VarlogError } from '../base/index.ts';

export function closedError(): VarlogError {
  return new VarlogError('CLOSED', { what: 'the replica is closed', next: 'start a new one' });
}

export function cannotStartOver(): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: 'a command is to be passed over, and the machine cannot be brought back to before it',
    because: 'its `snapshot()` threw when the replica was started',
    next: 'correct `snapshot()`, and start the replica again',
  });
}

export function unknownConsistency(value: unknown): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `consistency is ${shown(value)}`,
    next: "choose among 'linearizable', 'stale', { atLeast: position } and { maxStalenessMs: ms }",
  });
}

export function unidentified(timeoutMs: number): VarlogError {
  return new VarlogError('UNREACHABLE', {
    what: `the log did not say within ${timeoutMs} ms which one it is`,
    because: 'a stored snapshot is served only when it is known to be of this log',
    next: 'see whether the log has a quorum, and start the replica again',
  });
}

export function noPlaceForSnapshots(): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'there is no place for snapshots',
    because: 'this log keeps none, and the replica has no store',
    next: 'start the replica with `snapshots`, such as snapshotDirectory(path)',
  });
}

export function snapshotTooLate(timeoutMs: number): VarlogError {
  return new VarlogError('TIMEOUT', {
    what: `no snapshot was kept within ${timeoutMs} ms`,
    next: 'see whether its store takes what is written, or give it more time',
  });
}

/** A log that was given to a machine alone holds what another one wrote. */
export function notAlone(machine: string, position: number): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `the log of machine "${machine}" holds a command of another machine, at position ${position}`,
    because:
      'it is the log of another one; of shards, the logs were given in another order, or their number was changed',
    next: 'give the machine the log that it had, or one that is new; shards take their logs in the order in which they were given first, all of them',
    details: { position },
    outcome: 'notAppended',
  });
}
