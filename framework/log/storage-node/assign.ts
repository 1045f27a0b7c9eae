import type { Assignment } from '../../wire/gen/log.ts';
import type { LogStreamReplica } from './replica.ts';
import { watermarkMoved } from './watermark.ts';

/**
 * Takes what the metadata repository wants of this replica, and sets about it. Assignments MAY come late, twice and in
 * any order: the newest one counts.
 */
export function assign(replica: LogStreamReplica, assignment: Assignment): void {
  const { epoch, sealed, end, version, primaryProcess } = assignment;
  const members = assignment.members.map((it) => it.storageNodeId);
  const wanted = { epoch, sealed, end, version, members, primaryProcess };
  if (replica.core.assign(wanted)) replica.assignment = assignment;
  // What an older one says of commits, and of the fencing token, stays true.
  replica.fence = Math.max(replica.fence, assignment.fence);
  replica.inbox.expect(version);
  watermarkMoved(replica, assignment.highWatermark);
  replica.advance();
}
