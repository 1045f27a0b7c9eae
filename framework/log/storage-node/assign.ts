import type { Assignment } from '../../wire/gen/log.ts';
import type { LogStreamReplica } from './replica.ts';
import type { TopicWatermark } from './watermark.ts';

/**
 * Takes what the metadata repository wants of this replica, and sets about it. Assignments MAY come late, twice and in
 * any order: the newest one counts. From here on it knows of every commit below the high watermark of its `topic`.
 */
export function assign(
  replica: LogStreamReplica,
  assignment: Assignment,
  topic: TopicWatermark,
): void {
  const { epoch, sealed, end, version, primaryProcess } = assignment;
  const members = assignment.members.map((it) => it.storageNodeId);
  const wanted = { epoch, sealed, end, version, members, primaryProcess };
  if (replica.core.assign(wanted)) replica.assignment = assignment;
  // What an older one says of commits, and of the fencing token, stays true.
  replica.fence = Math.max(replica.fence, assignment.fence);
  replica.inbox.expect(version);
  replica.topicWatermark = topic;
  topic.attend(replica);
  // Not the topic's: its other replicas may still have to hear what commits there are.
  replica.assignedWatermark = Math.max(replica.assignedWatermark, assignment.highWatermark);
  replica.settleWatermark();
  replica.advance();
}
