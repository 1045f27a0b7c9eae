import type { Batch } from '../../base/index.ts';
import type { Arrived } from './pending-appends.ts';
import type { LogStreamReplica } from './replica.ts';

/** Puts a batch at the end of the log of a primary; returns its LLSN. */
export function storeBatch(
  replica: LogStreamReplica,
  batch: Batch,
  arrived: Arrived,
  restsOn = 0,
): number {
  const { core, storage, pending } = replica;
  const { count } = batch;
  const llsn = core.append(count);
  const { epoch } = core;
  const timestamp = storage.time.next();
  storage.records.append([{ position: llsn, count, epoch, timestamp, payload: batch.bytes }]);
  storage.producers.note(batch, llsn, timestamp);
  pending.add({ arrived, restsOn, llsn, count, bytes: batch.bytes.length });
  replica.wakeFollowers.schedule();
  return llsn;
}
