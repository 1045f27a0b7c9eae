import { VarlogError } from '../../base/index.ts';
import type { LogStreamReplica } from './replica.ts';
import { takenAway, unavailable } from './replica-errors.ts';

/**
 * Throws when nothing may be read from this replica and nothing appended to it: it failed, is to be
 * rebuilt and cannot be, or was taken away. What it vouched for before stands.
 */
export function assertServes({ closed, core, failure, host, logStreamId }: LogStreamReplica): void {
  if (closed) throw takenAway(logStreamId);
  if (failure === undefined && core.state !== 'damaged') return;
  const why = failure?.message ?? 'it lacks some of what it had before';
  throw unavailable(logStreamId, host.storageNodeId, why);
}

/** Throws `TRIMMED` when the record with GLSN `glsn` may be gone. */
export function assertNotTrimmed(replica: LogStreamReplica, glsn: number): void {
  const trimmed = replica.head.trimmed;
  if (glsn > trimmed) return;
  throw new VarlogError('TRIMMED', {
    what: `log stream: logstream: trimmed: record ${glsn} of topic ${replica.topicId} was removed; the first one left is ${trimmed + 1}`,
    next: 'begin there, or from a snapshot',
    details: { requested: glsn, firstAvailable: trimmed + 1 },
  });
}
