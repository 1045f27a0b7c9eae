import { VarlogError } from '../../base/index.ts';
import type { LogStreamReplica } from './replica.ts';
import type { StoredReplicaState } from './replica-storage.ts';

/** What found no room on the disk is tried again after so long. */
const FULL_RETRY_MS = 1_000;

/**
 * Saves durably. False where there is no room now: then the replica MUST be free to go on, and looks at what is to be
 * done again later. What is done meanwhile may make room.
 */
export function savedOrFull(
  replica: LogStreamReplica,
  change: Partial<StoredReplicaState>,
): Promise<boolean> {
  return unlessFull(replica, () => replica.storage.save(change));
}

/** The same, for whatever is to be written. */
export async function unlessFull(
  replica: LogStreamReplica,
  write: () => Promise<void>,
): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (error) {
    if (!VarlogError.is(error, 'DISK_FULL')) throw error;
    replica.retryTimer?.cancel();
    const { clock } = replica.host.ports;
    replica.retryTimer = clock.after(FULL_RETRY_MS, () => replica.advance());
    return false;
  }
}

/** The disk has no room, or no more files may be opened; or it has some again: what waited for it goes on. */
export function noteFull(replica: LogStreamReplica, error: VarlogError | undefined): void {
  const facts = { logStream: replica.logStreamId };
  const { logger } = replica.host.ports;
  if (error === undefined) {
    logger.log('info', 'there is room again', facts);
    replica.advance();
  } else {
    replica.becameFull.wake();
    const { message } = error;
    logger.log('error', 'no room: appends are refused', { ...facts, error: message });
  }
}
