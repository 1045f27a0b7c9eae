import type { Batch } from '../../base/index.ts';
import type { Listener } from './pending-appends.ts';
import type { LogStreamReplica } from './replica.ts';

/** Puts a batch at the end of the log of a primary; returns its LLSN. `restsOn`: see {@link checkCondition}. */
export function storeBatch(
  replica: LogStreamReplica,
  batch: Batch,
  { sequence, sink, restsOn }: Listener & { readonly restsOn: number },
): number {
  const { core, storage, pending } = replica;
  const { count } = batch;
  const llsn = core.append(count);
  const { epoch } = core;
  const timestamp = storage.time.next();
  storage.records.append([{ position: llsn, count, epoch, timestamp, payload: batch.bytes }]);
  storage.producers.note(batch, llsn, timestamp);
  pending.add({ llsn, count, bytes: batch.bytes.length, sequence, sink, restsOn });
  replica.wakeFollowers.schedule();
  return llsn;
}
