import { type Batch, ownBytes, producerOf } from '../../base/index.ts';
import type { AppendSink } from './pending-appends.ts';
import { repeats } from './repeats.ts';
import type { LogStreamReplica } from './replica.ts';
import { notPrimary, tooMuchWaits } from './replica-errors.ts';
import { assertServes } from './serve.ts';

/** What an append came with, beside its batch. */
export interface Arrived {
  /** By the client's own number. */
  readonly sequence: number;
  /** When it came, by the clock of this process. */
  readonly arrivedAt: number;
  /** Whether it is asked where its time goes. */
  readonly receipt: boolean;
}

/**
 * Appends a batch whose framing was checked.
 *
 * - It MUST throw, `notAppended` and with nothing stored, where this replica is not the primary, its disk is full, or too
 *   much waits to be ordered.
 * - The same, where it names its producer and this is not the batch that follows: see {@link repeats}.
 * - Otherwise `sink` MUST hear once what became of the batch: after this call has returned, unless it was ordered before.
 * - Batches MUST be stored in the order of their LLSNs, which is the order of the calls: nothing here waits.
 * - Backups MAY have the batch on disk before this replica does.
 */
export function append(
  replica: LogStreamReplica,
  batch: Batch,
  { sequence, arrivedAt, receipt }: Arrived,
  sink: AppendSink,
): void {
  const { core, storage, host, pending, logStreamId } = replica;
  assertServes(replica);
  if (!core.isPrimary) throw notPrimary(logStreamId, host.storageNodeId, replica.assignment);
  const producer = producerOf(batch);
  if (producer !== undefined && repeats(replica, producer, batch.count, sequence, sink)) return;
  if (storage.full !== undefined) throw storage.full;
  const bytes = batch.bytes.length;
  if (!host.memory.hasRoomFor(bytes, pending.bytes)) {
    throw tooMuchWaits(logStreamId, host.memory.pendingBytes);
  }
  const { count } = batch;
  const llsn = core.append(count);
  const { epoch } = core;
  const timestamp = storage.time.next();
  const payload = ownBytes(batch.bytes);
  storage.records.append([{ position: llsn, count, epoch, timestamp, payload }]);
  if (producer !== undefined) storage.producers.table.note({ ...producer, count, llsn, timestamp });
  pending.add({ llsn, count, bytes, arrivedAt, receipt, sequence, sink });
  replica.wakeFollowers.schedule();
}
