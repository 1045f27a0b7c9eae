import type { Producer } from '../../base/index.ts';
import { refusalOfProducer } from '../core/index.ts';
import type { Listener } from './pending-appends.ts';
import type { LogStreamReplica } from './replica.ts';

/**
 * Whether a batch of a producer stands in the log stream already; then the listener hears of the place that it has. False: it
 * is the next one of its producer, and is to be appended.
 *
 * - It MUST throw, with nothing stored, when it is neither.
 * - A batch that is not ordered yet is acknowledged with the one that it repeats, or fails with it.
 */
export function repeats(
  { storage, pending, logStreamId }: LogStreamReplica,
  producer: Producer,
  count: number,
  { sequence, sink }: Listener,
): boolean {
  const found = storage.producers.table.admit(producer, count);
  if (found.kind === 'new') return false;
  if (found.kind !== 'duplicate')
    throw refusalOfProducer(`log stream ${logStreamId}`, producer, found);
  const { llsn, glsn } = found;
  if (glsn === undefined) pending.join(llsn, { sequence, sink });
  else sink.acknowledge(sequence, glsn, llsn, count, true);
  return true;
}
