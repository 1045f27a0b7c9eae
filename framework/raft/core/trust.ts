import type { RaftLog } from './log.ts';

/** Why somebody is not listened to. */
export type Distrust = 'otherGroup' | 'notMember';

/**
 * Whether a member whose log this is takes messages from member `from`, who says that its group is `identity`,
 * empty where it does not know yet. Who belongs to the same group may be a member that this one has not heard of
 * yet: one that is behind has to listen to a leader that joined later. Before both know their group, each listens
 * to members of its own configurations only. Returns what speaks against it.
 */
export function distrustOf(log: RaftLog, from: number, identity: string): Distrust | undefined {
  if (log.identity !== '' && identity !== '') {
    return log.identity === identity ? undefined : 'otherGroup';
  }
  return log.hasKnown(from) ? undefined : 'notMember';
}
