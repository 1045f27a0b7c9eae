import { type AtomicAppend, type Batch, producerOf, VarlogError } from '../../base/index.ts';
import type { AppendCondition } from '../core/index.ts';
import type { Listener } from './pending-appends.ts';
import type { LogStreamReplica } from './replica.ts';
import { sealedBefore, tooManyParts } from './replica-errors.ts';
import { storeBatch } from './store-batch.ts';

/** Parts of one log stream that wait, parked or in its log, at the most: each report has all of them. */
const PARTS_MAX = 256;

/**
 * Takes a part of an atomic append, which its primary could append, and parks it until the leader of the metadata repository
 * lets it in: see {@link letIn}.
 *
 * - It MUST throw, `notAppended`, what could not be taken as a part, or where too many wait.
 */
export function park(
  replica: LogStreamReplica,
  part: AtomicAppend,
  batch: Batch,
  { sequence, sink }: Listener,
  condition?: AppendCondition,
): void {
  const { parked, storage, logStreamId } = replica;
  const waiting = storage.parts.all;
  const isHere = parked.has(part.id) || waiting.some((it) => it.id === part.id);
  if (isHere) refuse(`log stream ${logStreamId} has a part of atomic append ${part.id} already`);
  if (!part.logStreams.includes(logStreamId)) {
    refuse(`log stream ${logStreamId} has no part of an append to ${part.logStreams.join(', ')}`);
  }
  if (producerOf(batch) !== undefined) refuse('a part of an atomic append names a producer');
  // What holds now need not when the part enters the log: others append meanwhile, and take over.
  if (condition !== undefined) refuse('a part of an atomic append has a condition');
  if (parked.size + waiting.length >= PARTS_MAX) throw tooManyParts(logStreamId, PARTS_MAX);
  parked.add({ part, batch, sequence, sink });
  replica.host.reportChanged(replica);
}

/**
 * All other parts of an atomic append are at their primaries: the one that is parked here enters the log, where all that is
 * behind it waits for the cut. There MAY be none, or none any more.
 */
export function letIn(replica: LogStreamReplica, id: number): void {
  const found = replica.parked.take(id);
  if (found === undefined) return;
  const { part, batch, sequence, sink } = found;
  if (!replica.core.isPrimary) {
    sink.fail(sequence, sealedBefore(replica.logStreamId));
    return;
  }
  // While it was parked it was at no station: it comes to the log now.
  const arrivedAt = replica.host.ports.clock.now();
  const llsn = storeBatch(replica, batch, { sequence, sink, arrivedAt, receipt: false });
  replica.storage.parts.note({ ...part, llsn, end: llsn + batch.count - 1 });
}

function refuse(what: string): never {
  const next = 'append with topic.appendAtomically';
  throw new VarlogError('INVALID_ARGUMENT', { what, next, outcome: 'notAppended' });
}
