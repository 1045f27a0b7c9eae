import { atomicOf, type Batch, ownBytes, producerOf } from '../../base/index.ts';
import type { LogStreamReplica } from './replica.ts';

/**
 * Stores records that another replica sent, from LLSN `llsn` on.
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
  { count, bytes }: Batch,
): boolean {
  const { core, storage } = replica;
  if (llsn <= core.end) return true;
  if (!core.receive(llsn, count)) return false;
  storage.time.note(timestamp);
  const payload = ownBytes(bytes);
  storage.records.append([{ position: llsn, count, epoch, timestamp, payload }]);
  const producer = producerOf({ count, bytes });
  if (producer !== undefined) storage.producers.table.note({ ...producer, count, llsn, timestamp });
  const atomic = atomicOf({ count, bytes });
  if (atomic !== undefined) storage.parts.note({ ...atomic, llsn, end: llsn + count - 1 });
  replica.appended.wake();
  return true;
}
