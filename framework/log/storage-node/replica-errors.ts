import { VarlogError } from '../../base/index.ts';
import type { Assignment } from '../../wire/gen/log.ts';

/** What those are told who ask a replica for something that it cannot do. */

/** The replica failed: it vouches for nothing, and another one has what is asked for. */
export function unavailable(logStreamId: number, storageNodeId: number, why: string): VarlogError {
  return new VarlogError('UNAVAILABLE', {
    what: `the replica of log stream ${logStreamId} on storage node ${storageNodeId} serves nothing: ${why}`,
    next: 'ask another replica; "varlog status" shows which there are',
    details: { logStreamId, storageNodeId, reason: 'DISK_FAILED' },
    outcome: 'notAppended',
  });
}

export function noReplica(
  topicId: number,
  logStreamId: number,
  storageNodeId: number,
): VarlogError {
  return new VarlogError('LOG_STREAM_NOT_FOUND', {
    what: `no such log stream: storage node ${storageNodeId} has no replica of log stream ${logStreamId} of topic ${topicId}`,
    next: 'ask the metadata repository where it is',
    details: { topicId, logStreamId },
    outcome: 'notAppended',
  });
}

export function takenAway(logStreamId: number): VarlogError {
  return new VarlogError('LOG_STREAM_NOT_FOUND', {
    what: `the replica of log stream ${logStreamId} was taken away from this node`,
    next: 'ask the metadata repository where the others are',
    details: { logStreamId },
  });
}

/** An append reached a replica that is no primary, or a primary that may not append. */
export function notPrimary(
  logStreamId: number,
  storageNodeId: number,
  assignment: Assignment | undefined,
): VarlogError {
  const primary = assignment?.members[0];
  const restarts = primary?.storageNodeId === storageNodeId;
  if (assignment?.sealed !== false || primary === undefined || restarts) {
    return new VarlogError('SEALED', {
      what: `sealed: log stream ${logStreamId} takes no appends until it is opened again`,
      next: 'try again soon, or append to another log stream',
      details: { logStreamId },
      outcome: 'notAppended',
    });
  }
  return new VarlogError('NOT_PRIMARY', {
    what: `not primary replica: log stream ${logStreamId} takes appends at ${primary.address}`,
    next: 'append there',
    details: { logStreamId, primary: primary.address },
    outcome: 'notAppended',
  });
}

/** More payload waits to be ordered than this node keeps in memory. */
export function tooMuchWaits(logStreamId: number, bytes: number): VarlogError {
  return new VarlogError('RESOURCE_EXHAUSTED', {
    what: `${bytes} bytes wait to be ordered on the node of log stream ${logStreamId}`,
    next: 'append more slowly, or to log streams of other nodes',
    outcome: 'notAppended',
  });
}

/** More parts of atomic appends wait for their others than a log stream takes. */
export function tooManyParts(logStreamId: number, most: number): VarlogError {
  return new VarlogError('RESOURCE_EXHAUSTED', {
    what: `${most} parts of atomic appends wait in log stream ${logStreamId}`,
    next: 'have fewer of them under way at a time',
    outcome: 'notAppended',
  });
}

/** A part of an atomic append has waited long enough for its others. */
export function partsMissing(logStreamId: number): VarlogError {
  return new VarlogError('UNAVAILABLE', {
    what: `an atomic append has come to log stream ${logStreamId}, and not to all others that it names`,
    because: 'one of them does not take appends now, or its client ended',
    next: 'see with "varlog status" whether all of these log streams are open, then append it again',
    details: { logStreamId },
    outcome: 'notAppended',
  });
}

export function sealedBefore(logStreamId: number): VarlogError {
  return new VarlogError('SEALED', {
    what: `sealed: log stream ${logStreamId} was sealed before this append was ordered`,
    next: 'append again',
    details: { logStreamId },
    outcome: 'notAppended',
  });
}

/** An append was on its way when its replica lost the power to say what becomes of it. */
export function appendUnknown(what: string, because?: string): VarlogError {
  return new VarlogError('APPEND_UNKNOWN', {
    what: `${what} while an append was on its way`,
    ...(because !== undefined && { because }),
    next: 'read the log to see whether it is there',
    outcome: 'unknown',
  });
}

/** The folder of a node has no file that says whose it is. */
export function nobodys(directory: string): VarlogError {
  return new VarlogError('DISK_LOST', {
    what: `${directory} holds replicas, but not the file that says whose they are`,
    because: 'part of the folder was lost or left behind when it was copied',
    next: 'bring back the file "identity", or move the folder aside and run "varlog node replace"',
    details: { directory },
  });
}
