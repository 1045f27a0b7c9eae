import { atomicOf, type Batch, producerOf } from '../../base/index.ts';
import { type AppendCondition, checkCondition } from '../core/index.ts';
import { park } from './park.ts';
import type { Arrived } from './pending-appends.ts';
import { repeats } from './repeats.ts';
import type { LogStreamReplica } from './replica.ts';
import { notPrimary, tooMuchWaits } from './replica-errors.ts';
import { assertServes } from './serve.ts';
import { storeBatch } from './store-batch.ts';

/**
 * Appends a batch whose framing was checked. Its bytes are kept: they MUST have a buffer of their own, or share one with
 * batches of this log stream that come with it.
 *
 * - It MUST throw, `notAppended` and with nothing stored, where this replica is not the primary, its disk is full, or too
 *   much waits to be ordered.
 * - The same, where it names its producer and this is not the batch that follows: see {@link repeats}.
 * - The same, where `condition` does not hold: see {@link checkCondition}. A repeated batch has met its own before.
 * - A part of an atomic append MUST be kept out of the log until all are at their primaries: see {@link park}.
 * - Otherwise its sink MUST hear once what became of the batch: after this call has returned, unless it was ordered before.
 * - Batches MUST be stored in the order of their LLSNs, which is the order of the calls: nothing here waits.
 * - Backups MAY have the batch on disk before this replica does.
 */
export function append(
  replica: LogStreamReplica,
  batch: Batch,
  arrived: Arrived,
  condition?: AppendCondition,
): void {
  const { core, storage, host, pending, logStreamId } = replica;
  assertServes(replica);
  if (!core.isPrimary) throw notPrimary(logStreamId, host.storageNodeId, replica.assignment);
  const producer = producerOf(batch);
  if (producer !== undefined && repeats(replica, producer, batch.count, arrived)) return;
  const restsOn = condition === undefined ? 0 : checkCondition(condition, replica.conditionSubject);
  if (storage.full !== undefined) throw storage.full;
  const bytes = batch.bytes.length;
  if (!host.memory.hasRoomFor(bytes, pending.bytes + replica.parked.bytes)) {
    throw tooMuchWaits(logStreamId, host.memory.pendingBytes);
  }
  const atomic = atomicOf(batch);
  if (atomic !== undefined) park(replica, atomic, batch, arrived, condition);
  else storeBatch(replica, batch, arrived, restsOn);
}
