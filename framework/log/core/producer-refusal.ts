import { type Producer, VarlogError } from '../../base/index.ts';
import type { Admission } from './producer-table.ts';

/** A batch of a producer is neither the next one nor one that stands in the log at a known place. `where`: what log that is. */
export function refusalOfProducer(
  where: string,
  { id, epoch, sequence }: Producer,
  found: Exclude<Admission, { kind: 'new' | 'duplicate' }>,
): VarlogError {
  const whose = `producer ${id} of ${where}`;
  const details = { producer: id, epoch, sequence };
  const outcome = 'notAppended' as const;
  switch (found.kind) {
    case 'fenced':
      return new VarlogError('PRODUCER_FENCED', {
        what: `${whose} was opened anew, in epoch ${found.epoch}, and this is epoch ${epoch}`,
        next: 'end this producer, or give every one that lives at the same time an id of its own',
        details: { ...details, newest: found.epoch },
        outcome,
      });
    case 'gap':
      return new VarlogError('SEQUENCE_GAP', {
        what: `${whose} goes on with sequence ${found.expected} in epoch ${epoch}, and this is ${sequence}`,
        next: 'append the batches between first',
        details: { ...details, expected: found.expected },
        outcome,
      });
    case 'forgotten':
      return new VarlogError('PRODUCER_FORGOTTEN', {
        what: `${whose} may have been forgotten in epoch ${epoch}`,
        because: 'many others have appended since, or it has not for long',
        next: 'open it anew',
        details,
        outcome,
      });
    case 'passed':
      return new VarlogError('ALREADY_EXISTS', {
        what: `the batch at sequence ${sequence} of ${whose} is in the log, at a position that is not remembered`,
        next: 'read the log to find it, and have fewer batches on the way',
        details,
        outcome: 'unknown',
      });
    default:
      return new VarlogError('INVALID_ARGUMENT', {
        what: `the batch at sequence ${sequence} of ${whose} has other records than the one that was appended`,
        next: 'repeat a batch as it was, and give a new one the next sequence',
        details,
        outcome,
      });
  }
}
