import { atomicOf, type Batch } from '../../base/index.ts';
import type { LogStreamReplica } from './replica.ts';

/**
 * Stores records that another replica sent, from LLSN `llsn` on, and keeps their bytes as `append` does.
 *
 * - They MUST be stored under the LLSNs, and with the time, that their primary gave them.
 * - What is here already MUST be left as it is.
 * - It MUST return false, with nothing stored, where they do not continue this log.
 */
export function receive(
  replica: LogStreamReplica,
  llsn: number,
  epoch: number,
  timestamp: number,
  batch: Batch,
): boolean {
  const { count, bytes } = batch;
  const { core, storage } = replica;
  if (llsn <= core.end) return true;
  if (!core.receive(llsn, count)) return false;
  storage.time.note(timestamp);
  storage.records.append([{ position: llsn, count, epoch, timestamp, payload: bytes }]);
  storage.producers.note(batch, llsn, timestamp);
  const atomic = atomicOf(batch);
  if (atomic !== undefined) storage.parts.note({ ...atomic, llsn, end: llsn + count - 1 });
  replica.appended.wake();
  return true;
}
