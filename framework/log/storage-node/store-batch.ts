import { type Batch, ownBytes } from '../../base/index.ts';
import type { AppendSink } from './pending-appends.ts';
import type { LogStreamReplica } from './replica.ts';

/** Puts a batch at the end of the log of a primary; says where. */
export function storeBatch(
  replica: LogStreamReplica,
  batch: Batch,
  sequence: number,
  sink: AppendSink,
): { llsn: number; timestamp: number } {
  const { core, storage, pending } = replica;
  const { count } = batch;
  const llsn = core.append(count);
  const { epoch } = core;
  const timestamp = storage.time.next();
  const payload = ownBytes(batch.bytes);
  storage.records.append([{ position: llsn, count, epoch, timestamp, payload }]);
  pending.add({ llsn, count, bytes: batch.bytes.length, sequence, sink });
  replica.wakeFollowers.schedule();
  return { llsn, timestamp };
}
