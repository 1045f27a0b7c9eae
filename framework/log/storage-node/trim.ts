import { savedOrFull, unlessFull } from './full-disk.ts';
import type { LogStreamReplica } from './replica.ts';

/**
 * Removes records up to GLSN `glsn`. Resolves when that is durable, or noted for when the disk has room.
 *
 * - From the call's turn on, nothing below MAY be read any more, whatever becomes of this process.
 * - What was ordered below and has not come yet MUST be dropped once it has.
 */
export function trim(replica: LogStreamReplica, glsn: number): Promise<void> {
  return replica.turns.run(() => dropHead(replica, glsn));
}

/** Does what {@link trim} says, in a turn of the replica. */
export async function dropHead(replica: LogStreamReplica, glsn: number): Promise<void> {
  if (replica.closed) return;
  if (glsn > replica.head.dropped) await drop(replica, glsn, replica.watermark);
  replica.wakeReaders();
}

/** Removes records up to GLSN `glsn` from a log that is complete up to GLSN `watermark`. */
async function drop(replica: LogStreamReplica, glsn: number, watermark: number): Promise<void> {
  const { head, core } = replica;
  const { commits, records, producers } = replica.storage;
  // Below it nothing is read any more, from here on.
  head.trimmed = Math.max(head.trimmed, glsn);
  replica.topicWatermark.attend(replica);
  const isNoted = await note(replica, glsn);
  // Taken before the search: what is committed during it may lie above.
  const { committedEnd, version } = core;
  const commit = await commits.findByGlsn(glsn + 1);
  const first =
    commit === undefined ? committedEnd + 1 : commit.llsn + Math.max(0, glsn + 1 - commit.glsn);
  const wanted = Math.max(records.first, Math.min(first, committedEnd + 1));
  // What they say of producers must be kept elsewhere. Without room for that, only those go that are not needed for it.
  const mayGo = !producers.isNeededBelow(wanted) || (await savedProducers(replica));
  await records.trimHead(mayGo ? wanted : Math.max(records.first, producers.firstUnsaved));
  if (!mayGo && !(await savedProducers(replica))) return;
  if (!mayGo) await records.trimHead(wanted);
  const kept = commit?.version ?? version;
  // Without room for them, another trim must not wait: it may be the one that makes some.
  if (kept > commits.persistedVersion && !(await replica.storage.flushCommits())) return;
  if (!(await replica.storage.trimCommits(kept))) return;
  // On a full disk that has made room for the note.
  if (!isNoted && !(await note(replica, glsn))) return;
  head.dropped = commit === undefined ? Math.min(glsn, watermark) : glsn;
}

async function savedProducers(replica: LogStreamReplica): Promise<boolean> {
  return unlessFull(replica, () => replica.storage.producers.save());
}

async function note(replica: LogStreamReplica, glsn: number): Promise<boolean> {
  if (glsn <= replica.storage.state.trimmedGlsn) return true;
  return savedOrFull(replica, { trimmedGlsn: glsn });
}
